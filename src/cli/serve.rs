//! `serve`: the server, until SIGTERM or Ctrl-C.

use super::desk::{self, OperatorDesk};
use super::{CliError, output};
use crate::app::config::Config;
use crate::app::lifecycle::Listening;
use crate::app::wiring::{Core, NewStore};
use crate::http::connection::server::ServerSettings;
use crate::system::environment::Environment;
use crate::system::process;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) async fn run(config: &Config) -> Result<ExitCode, CliError> {
    let shutdown = on_signals()?;
    raise_open_files();
    let opened = Core::open(config, Environment::system(), "claviger serve", NewStore::Made);
    let core = Arc::new(opened.await?);
    let local = desk::open(&core)?;
    let listening = Listening::bind(Arc::clone(&core), config).await?;
    if let Some(local) = local {
        let desk = Arc::new(OperatorDesk::new(Arc::clone(&core)));
        core.tracker.spawn(local.run(desk, shutdown.clone()));
    }
    let address = listening.address();
    output::line(&format!("claviger listens on http://{address}"));
    tracing::info!(%address, data_dir = %config.data_dir.display(), registration = ?config.registration, "ready: GraphQL at /graphql, a page to try it at /graphiql");
    if let Some(address) = listening.metrics_address() {
        tracing::info!(%address, "metrics at /metrics");
    }
    listening.serve(shutdown).await?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Open files besides connections: of the store, the log, the runtime and calls to Anthropic.
const OTHER_FILES: u64 = 256;

/// Raises the limit on open files as far as the system allows, and warns if connections could still
/// exceed it.
fn raise_open_files() {
    let wanted = u64::try_from(ServerSettings::default().max_connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    if let Some(limit) = process::raise_open_files().filter(|limit| *limit < wanted) {
        tracing::warn!(
            limit,
            wanted,
            "the limit on open files is below the number of connections: raise ulimit -n"
        );
    }
}

/// A token that SIGTERM or Ctrl-C cancels. A second signal ends the process at once, which the
/// store survives.
pub(super) fn on_signals() -> Result<CancellationToken, CliError> {
    let shutdown = CancellationToken::new();
    let signalled = shutdown.clone();
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    TaskTracker::new().spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: requests in progress may end; a second signal stops at once");
        signalled.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(shutdown)
}

//! `serve`: the server, until it is told to stop.

use super::{CliError, output};
use crate::app::config::Config;
use crate::app::lifecycle::Listening;
use crate::app::wiring::Core;
use crate::http::connection::server::ServerSettings;
use crate::system::environment::Effects;
use crate::system::open_files;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) async fn run(config: &Config) -> Result<ExitCode, CliError> {
    let shutdown = on_signals()?;
    have_files();
    let core = Core::open(config, Effects::system(), "claviger serve").await?;
    let listening = Listening::bind(core, config).await?;
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

/// Files beside connections: the store's, the log's, the runtime's, calls to Anthropic.
const OTHER_FILES: u64 = 256;

/// As many files as the system lets us have; says so where that is less than the connections that would be taken.
fn have_files() {
    let wanted = u64::try_from(ServerSettings::default().max_connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    if let Some(limit) = open_files::raise().filter(|limit| *limit < wanted) {
        tracing::warn!(
            limit,
            wanted,
            "fewer open files are allowed than there may be connections: raise ulimit -n"
        );
    }
}

/// A token that SIGTERM or Ctrl-C cancels; a second signal ends the process at once, which the store survives.
pub(super) fn on_signals() -> Result<CancellationToken, CliError> {
    let shutdown = CancellationToken::new();
    let asked = shutdown.clone();
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    TaskTracker::new().spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: running requests may end, a second signal stops at once");
        asked.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(shutdown)
}

//! The demo's environment: a server on a temporary store, and a simulated Anthropic.

use super::replies;
use super::telling::heading;
use super::{keys, runs};
use crate::app::config::Config;
use crate::app::lifecycle::Listening;
use crate::app::wiring::{Core, NewStore};
use crate::audit::verify::verify;
use crate::auth::Registration;
use crate::cli::args::{DemoArgs, demo_dir};
use crate::cli::client::Client;
use crate::cli::serve::on_signals;
use crate::cli::{CliError, output, with_causes};
use crate::keychain::Keychain;
use crate::simulator::{Simulator, SimulatorConfig};
use crate::system::environment::{Clock as _, Environment, SystemClock};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_domain::code::ErrorCode;
use claviger_domain::secret::SecretText;
use claviger_projections::ports::Store;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

/// The demo's user. The password protects nothing but a temporary store on a loopback address.
pub(super) const USERNAME: &str = "ada";
pub(super) const PASSWORD: &str = "correct horse battery";

pub(in crate::cli) async fn run(args: &DemoArgs, mut config: Config) -> Result<ExitCode, CliError> {
    let shutdown = on_signals()?;
    let throw_away = ThrowAway(demo_dir(std::process::id()));
    let env = Environment::system();
    config.data_dir.clone_from(&throw_away.0);
    on_its_own(&mut config, &env);
    if !config.listen.ip().is_loopback() {
        return Err(CliError::new(
            ErrorCode::Validation,
            "the demo's password is public, so it listens on loopback addresses only",
        ));
    }
    let simulator = Simulator::start(SimulatorConfig::new(Arc::new(|| SystemClock.now()))).await;
    let simulator =
        simulator.map_err(|error| CliError::new(ErrorCode::Internal, with_causes(&error)))?;
    replies::prepare(&simulator.script(), output::is_terminal());
    config.anthropic_base_url = Some(simulator.base_url());

    let core = Core::open(&config, env, "claviger demo", NewStore::Made).await?;
    let (store, keychain) = (Arc::clone(&core.store), Arc::clone(&core.keychain));
    let listening = Listening::bind(core, &config).await?;
    let address = listening.address();
    let serving = TaskTracker::new().spawn(listening.serve(shutdown.clone()));

    let toured = shutdown.run_until_cancelled(tour(address, store, keychain)).await;
    // Interrupting the demo isn't a failure, even if the server stops before the tour.
    let toured = toured.filter(|_| !shutdown.is_cancelled()).unwrap_or(Ok(()));
    if args.exit || toured.is_err() {
        shutdown.cancel();
    } else if !shutdown.is_cancelled() {
        where_to_click(address);
    }
    let served = serving
        .await
        .map_err(|_| CliError::new(ErrorCode::Internal, "the server ended without a result"))?;
    simulator.stop().await;
    toured?;
    served?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps the operator's own settings out of the tour: their API keys, and the keys that protect a
/// real store.
fn on_its_own(config: &mut Config, env: &Environment) {
    config.mongodb_uri = None;
    config.prices = None;
    let mut master_key = Zeroizing::new([0; 32]);
    env.entropy.fill(master_key.as_mut_slice());
    config.master_keys = Some(SecretText::new(STANDARD.encode(master_key.as_slice())));
    config.master_keys_file = None;
    config.token_key = None;
    config.token_key_file = None;
    config.anthropic_api_key = None;
    config.claude_api_key = None;
    config.registration = Registration::Open;
}

/// Removes the demo's store when dropped.
struct ThrowAway(PathBuf);

impl Drop for ThrowAway {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The whole tour, through the public API except for the final check of the log.
async fn tour(
    address: SocketAddr,
    store: Arc<dyn Store>,
    keychain: Arc<Keychain>,
) -> Result<(), CliError> {
    let mut client = Client::new(&format!("http://{address}"), false)?;
    keys::tour(&mut client, address).await?;
    if !runs::tour(&mut client).await? {
        return Ok(());
    }
    heading("The log, read from scratch and compared with everything derived from it");
    let report = verify(store, keychain).await?;
    output::line(&format!(
        "{} events, {} problems, tree root {}",
        report.events, report.problem_count, report.root
    ));
    if report.problem_count > 0 {
        return Err(CliError::new(ErrorCode::Internal, "the log and the views differ"));
    }
    Ok(())
}

fn where_to_click(address: SocketAddr) {
    heading("What to try next");
    output::line(&format!(
        "open http://{address}/graphiql, log in as {USERNAME} with the password {PASSWORD:?}:"
    ));
    output::line(
        "  mutation($p: Secret!) { login(input: {usernameOrEmail: \"ada\", password: $p}) { accessToken } }",
    );
    output::line("or from here, with that password on standard input:");
    output::line(&format!(
        "  claviger run list --url http://{address} --user {USERNAME} --password-stdin"
    ));
    output::line("keys for every kind of response: claviger simulate --keys");
    output::line("Ctrl-C ends the demo and removes its store");
}

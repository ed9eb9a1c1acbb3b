//! `demo`: the tour. A server on a throw-away store, a simulated Anthropic, a user with three keys; all of it through the public API.

use super::args::{DemoArgs, demo_dir};
use super::client::Client;
use super::serve::on_signals;
use super::{CliError, output, with_causes};
use crate::audit::verify::verify;
use crate::auth::Registration;
use crate::bus::Keychain;
use crate::config::Config;
use crate::effects::{Clock as _, Effects, SystemClock};
use crate::lifecycle::Listening;
use crate::simulator::keys::{Scenario, key};
use crate::simulator::{Simulator, SimulatorConfig};
use crate::wiring::Core;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_domain::code::ErrorCode;
use claviger_domain::secret::SecretText;
use claviger_projections::ports::Store;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

/// The demo's user. The password opens a throw-away store on a loopback address, nothing else.
const USERNAME: &str = "ada";
const PASSWORD: &str = "correct horse battery";

pub(super) async fn run(args: &DemoArgs, mut config: Config) -> Result<ExitCode, CliError> {
    let shutdown = on_signals()?;
    let throw_away = ThrowAway(demo_dir(std::process::id()));
    let effects = Effects::system();
    config.data_dir.clone_from(&throw_away.0);
    on_its_own(&mut config, &effects);
    if !config.listen.ip().is_loopback() {
        return Err(CliError::new(
            ErrorCode::Validation,
            "the demo's password is public, so it listens on loopback addresses only",
        ));
    }
    let simulator = Simulator::start(SimulatorConfig::new(Arc::new(|| SystemClock.now()))).await;
    let simulator = simulator.map_err(|error| CliError::new(ErrorCode::Internal, with_causes(&error)))?;
    config.anthropic_base_url = Some(simulator.base_url());

    let core = Core::open(&config, effects, "claviger demo").await?;
    let (store, keychain) = (Arc::clone(&core.store), Arc::clone(&core.keychain));
    let listening = Listening::bind(core, &config).await?;
    let address = listening.address();
    let serving = TaskTracker::new().spawn(listening.serve(shutdown.clone()));

    let toured = shutdown.run_until_cancelled(tour(address, store, keychain)).await;
    // Whoever ends the demo in its middle has seen enough: that is no failure, though the server may have gone first.
    let toured = toured.filter(|_| !shutdown.is_cancelled()).unwrap_or(Ok(()));
    if args.exit || toured.is_err() {
        shutdown.cancel();
    } else if !shutdown.is_cancelled() {
        where_to_click(address);
    }
    let served = serving.await.map_err(|_| CliError::new(ErrorCode::Internal, "the server ended without a word"))?;
    simulator.stop().await;
    toured?;
    served?;
    Ok(ExitCode::SUCCESS)
}

/// Nothing of the operator's goes into the tour: neither their keys nor those that protect a real store.
fn on_its_own(config: &mut Config, effects: &Effects) {
    config.mongodb_uri = None;
    config.prices = None;
    let mut master_key = Zeroizing::new([0; 32]);
    effects.entropy.fill(master_key.as_mut_slice());
    config.master_keys = Some(SecretText::new(STANDARD.encode(master_key.as_slice())));
    config.master_keys_file = None;
    config.token_key = None;
    config.token_key_file = None;
    config.anthropic_api_key = None;
    config.claude_api_key = None;
    config.registration = Registration::Open;
}

/// The store goes with the demo.
struct ThrowAway(PathBuf);

impl Drop for ThrowAway {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

const REGISTER: &str = "mutation($password: Secret!) { register(input: {username: \"ada\", email: \"ada@example.org\", \
    password: $password, fullName: \"Ada Lovelace\"}) { accessToken userErrors { message } } }";
const ADD: &str = "mutation($name: String!, $secret: Secret!) { addKey(input: {name: $name, secret: $secret, makeDefault: false}) \
    { key { id name preview } userErrors { message } } }";
const TEST: &str = "mutation($id: ID!) { testKey(input: {id: $id}) \
    { key { name lastTest { status authentic hasCredit message durationMs } } userErrors { message } } }";
const DEFAULT: &str =
    "mutation($id: ID!) { setDefaultKey(input: {id: $id}) { key { name } commit { position } userErrors { message } } }";
const LOOK: &str = "query($after: Position) { viewer { \
    keys(minPosition: $after) { nodes { name preview isDefault lastTest { status } } } \
    resolution { candidates { source chosen reason } } \
    history(first: 20) { nodes { position type at content } } } }";

fn heading(text: &str) {
    output::line("");
    output::line(&if output::is_terminal() { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() });
}

fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn nodes<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

async fn tour(address: SocketAddr, store: Arc<dyn Store>, keychain: Arc<Keychain>) -> Result<(), CliError> {
    let mut client = Client::new(address)?;
    heading("A user registers");
    let data = client.ask(REGISTER, json!({ "password": PASSWORD })).await?;
    client.sign_in(&text(&data, "/register/accessToken"));
    output::line(&format!("{USERNAME} is signed in on http://{address}/graphql"));

    heading("She adds three keys and tests each at Anthropic (simulated here)");
    let mut first = String::new();
    for (name, scenario) in [("work", Scenario::Good), ("old laptop", Scenario::Revoked), ("side project", Scenario::NoCredit400)]
    {
        let id = add_and_test(&client, name, scenario).await?;
        if first.is_empty() {
            first = id;
        }
    }

    heading("She makes one her default");
    let data = client.ask(DEFAULT, json!({ "id": first })).await?;
    let position = text(&data, "/setDefaultKey/commit/position");
    output::line(&format!("{} is now the default, committed at position {position}", text(&data, "/setDefaultKey/key/name")));

    show(&client.ask(LOOK, json!({ "after": position })).await?);
    heading("The log, read anew and compared with everything made from it");
    let report = verify(store, keychain).await?;
    output::line(&format!("{} events, {} problems, tree root {}", report.events, report.problem_count, report.root));
    if report.problem_count > 0 {
        return Err(CliError::new(ErrorCode::Internal, "the log and the views differ"));
    }
    Ok(())
}

async fn add_and_test(client: &Client, name: &str, scenario: Scenario) -> Result<String, CliError> {
    let data = client.ask(ADD, json!({ "name": name, "secret": key(scenario, 1) })).await?;
    let (id, preview) = (text(&data, "/addKey/key/id"), text(&data, "/addKey/key/preview"));
    let data = client.ask(TEST, json!({ "id": id })).await?;
    let status = text(&data, "/testKey/key/lastTest/status");
    output::line(&format!("{name:<14}{preview:<28}{status:<14}{}", text(&data, "/testKey/key/lastTest/message")));
    Ok(id)
}

fn show(data: &Value) {
    heading("What she sees: masks, never a secret");
    let rows: Vec<_> = nodes(data, "/viewer/keys/nodes")
        .map(|key| {
            let default = if text(key, "/isDefault") == "true" { "default" } else { "" };
            vec![text(key, "/name"), text(key, "/preview"), default.to_owned(), text(key, "/lastTest/status")]
        })
        .collect();
    output::table(&["NAME", "KEY", "", "LAST TEST"], &rows);

    heading("Which credential a run would use now, and why");
    for candidate in nodes(data, "/viewer/resolution/candidates") {
        let mark = if text(candidate, "/chosen") == "true" { "->" } else { "  " };
        output::line(&format!("{mark} {:<24}{}", text(candidate, "/source"), text(candidate, "/reason")));
    }

    heading("What happened, newest first");
    let rows: Vec<_> = nodes(data, "/viewer/history/nodes")
        .map(|event| {
            let content =
                event.pointer("/content").filter(|content| !content.is_null()).map(Value::to_string).unwrap_or_default();
            let content: String = content.chars().take(60).collect();
            vec![text(event, "/position"), text(event, "/at"), text(event, "/type"), content]
        })
        .collect();
    output::table(&["POSITION", "AT", "EVENT", "CONTENT (SEALED FOR HER)"], &rows);
}

fn where_to_click(address: SocketAddr) {
    heading("Go on from here");
    output::line(&format!("open http://{address}/graphiql, log in as {USERNAME} with the password {PASSWORD:?}:"));
    output::line("  mutation($p: Secret!) { login(input: {usernameOrEmail: \"ada\", password: $p}) { accessToken } }");
    output::line("keys for every kind of answer: claviger simulate --keys");
    output::line("Ctrl-C ends the demo and removes its store");
}

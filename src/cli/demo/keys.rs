//! The tour of keys: one user adds three keys, tests each and makes one the default.

use super::stage::{PASSWORD, USERNAME};
use super::telling::{ask, heading, nodes, text};
use crate::cli::client::Client;
use crate::cli::{CliError, output};
use crate::simulator::keys::{Scenario, key};
use claviger_domain::secret::SecretText;
use serde_json::{Value, json};
use std::net::SocketAddr;

const REGISTER: &str = "mutation($password: Secret!) { register(input: {username: \"ada\", email: \"ada@example.org\", \
    password: $password, fullName: \"Ada Lovelace\"}) { accessToken userErrors { message } } }";
const ADD: &str = "mutation($name: String!, $secret: Secret!) { addKey(input: {name: $name, secret: $secret, makeDefault: false}) \
    { key { id name preview } userErrors { message } } }";
const TEST: &str = "mutation($id: ID!) { testKey(input: {id: $id}) \
    { key { name lastTest { status authentic hasCredit message durationMs } } userErrors { message } } }";
const DEFAULT: &str = "mutation($id: ID!) { setDefaultKey(input: {id: $id}) { key { name } commit { position } userErrors { message } } }";
const LOOK: &str = "query($after: Position) { viewer { \
    keys(minPosition: $after) { nodes { name preview isDefault lastTest { status } } } \
    resolution { candidates { source chosen reason } } \
    history(first: 20) { nodes { position type at content } } } }";

pub(super) async fn tour(client: &mut Client, address: SocketAddr) -> Result<(), CliError> {
    heading("A user registers");
    let data = ask(client, REGISTER, json!({ "password": PASSWORD })).await?;
    client.sign_in(SecretText::new(text(&data, "/register/accessToken")));
    output::line(&format!("{USERNAME} is signed in on http://{address}/graphql"));

    heading("She adds three keys and tests each at Anthropic (simulated here)");
    let mut first = String::new();
    for (name, scenario) in [
        ("work", Scenario::Good),
        ("old laptop", Scenario::Revoked),
        ("side project", Scenario::NoCredit400),
    ] {
        let id = add_and_test(client, name, scenario).await?;
        if first.is_empty() {
            first = id;
        }
    }

    heading("She makes one her default");
    let data = ask(client, DEFAULT, json!({ "id": first })).await?;
    let position = text(&data, "/setDefaultKey/commit/position");
    output::line(&format!(
        "{} is now the default, committed at position {position}",
        text(&data, "/setDefaultKey/key/name")
    ));

    show(&ask(client, LOOK, json!({ "after": position })).await?);
    Ok(())
}

async fn add_and_test(
    client: &mut Client,
    name: &str,
    scenario: Scenario,
) -> Result<String, CliError> {
    let data = ask(client, ADD, json!({ "name": name, "secret": key(scenario, 1) })).await?;
    let (id, preview) = (text(&data, "/addKey/key/id"), text(&data, "/addKey/key/preview"));
    let data = ask(client, TEST, json!({ "id": id })).await?;
    let status = text(&data, "/testKey/key/lastTest/status");
    output::line(&format!(
        "{name:<14}{preview:<28}{status:<14}{}",
        text(&data, "/testKey/key/lastTest/message")
    ));
    Ok(id)
}

fn show(data: &Value) {
    heading("What she sees: masks, never a secret");
    let rows: Vec<_> = nodes(data, "/viewer/keys/nodes")
        .map(|key| {
            let default = if text(key, "/isDefault") == "true" { "default" } else { "" };
            vec![
                text(key, "/name"),
                text(key, "/preview"),
                default.to_owned(),
                text(key, "/lastTest/status"),
            ]
        })
        .collect();
    output::table(&["NAME", "KEY", "", "LAST TEST"], &rows);

    heading("Which credential a run would use now, and why");
    for candidate in nodes(data, "/viewer/resolution/candidates") {
        let mark = if text(candidate, "/chosen") == "true" { "->" } else { "  " };
        output::line(&format!(
            "{mark} {:<24}{}",
            text(candidate, "/source"),
            text(candidate, "/reason")
        ));
    }

    heading("What happened, newest first");
    let rows: Vec<_> = nodes(data, "/viewer/history/nodes")
        .map(|event| {
            let content = event
                .pointer("/content")
                .filter(|content| !content.is_null())
                .map(Value::to_string)
                .unwrap_or_default();
            let content: String = content.chars().take(60).collect();
            vec![text(event, "/position"), text(event, "/at"), text(event, "/type"), content]
        })
        .collect();
    output::table(&["POSITION", "AT", "EVENT", "CONTENT (SEALED FOR HER)"], &rows);
}

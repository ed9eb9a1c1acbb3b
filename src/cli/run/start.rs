//! `run start`.

use super::args::StartArgs;
use super::command::follow;
use super::queries::{KEYS, START};
use crate::cli::client::{Client, Trouble};
use crate::cli::sanitize::harmless_json;
use crate::cli::{CliError, output};
use crate::system::environment::{Ids as _, SystemIds};
use claviger_domain::code::ErrorCode;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

pub(super) async fn run(
    args: &StartArgs,
    mut input: Map<String, Value>,
    client: &mut Client,
    json: bool,
) -> Result<ExitCode, CliError> {
    if let Some(key) = &args.key {
        input.insert("keyId".to_owned(), Value::String(key_id(client, key).await?));
    }
    // With an idempotency key the request can be repeated until a response arrives, and starts only
    // one run.
    input.entry("idempotencyKey").or_insert_with(|| json!(format!("cli-{}", SystemIds.next())));
    let data = client.ask_surely(START, json!({ "input": input })).await?;
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let id = text("/startOrchestration/orchestration/id")
        .ok_or_else(|| Trouble::Foreign("no run".to_owned()))?;
    if json {
        let commit = data.pointer("/startOrchestration/commit").cloned().unwrap_or_default();
        output::line(&harmless_json(
            &json!({ "__typename": "Started", "id": id, "commit": commit }).to_string(),
        ));
    }
    if args.detach {
        if !json {
            output::line(&id);
        }
        return Ok(ExitCode::SUCCESS);
    }
    follow(&id, &args.watch, client, json).await
}

/// Finds a key's id by the id itself, or by its name if the name is unique.
async fn key_id(client: &mut Client, wanted: &str) -> Result<String, CliError> {
    let mut found: Vec<String> = Vec::new();
    let mut after = Value::Null;
    loop {
        let data = client.ask(KEYS, json!({ "after": after })).await?;
        let text = |key: &Value, name: &str| {
            key.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let keys = data.pointer("/viewer/keys/nodes").and_then(Value::as_array);
        let fits = keys
            .into_iter()
            .flatten()
            .filter(|key| [text(key, "id"), text(key, "name")].iter().any(|own| own == wanted));
        found.extend(fits.map(|key| text(key, "id")));
        let page = data.pointer("/viewer/keys/pageInfo");
        if page.and_then(|page| page.get("hasNextPage")).and_then(Value::as_bool) != Some(true) {
            break;
        }
        after = page.and_then(|page| page.get("endCursor")).cloned().unwrap_or_default();
    }
    match (found.pop(), found.pop()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => {
            Err(CliError::new(ErrorCode::Conflict, "several keys have this name: give the id"))
        }
        (None, _) => {
            Err(CliError::new(ErrorCode::NotFound, "no such key: check the names of your keys"))
        }
    }
}

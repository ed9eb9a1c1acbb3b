//! `run cancel`, `run pause`, `run resume`: requests to a run, which the process that works on it
//! carries out.

use super::args::AskArgs;
use super::queries::{CANCEL, PAUSE, RESUME};
use crate::cli::client::Client;
use crate::cli::sanitize::{harmless_json, one_line};
use crate::cli::{CliError, output};
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Cancel,
    Pause,
    Resume,
}

impl Control {
    const fn mutation(self) -> &'static str {
        match self {
            Self::Cancel => CANCEL,
            Self::Pause => PAUSE,
            Self::Resume => RESUME,
        }
    }

    const fn asked(self) -> &'static str {
        match self {
            Self::Cancel => "asked to be cancelled",
            Self::Pause => "asked to pause",
            Self::Resume => "asked to go on",
        }
    }
}

pub(super) async fn run(
    control: Control,
    args: &AskArgs,
    client: &mut Client,
    json: bool,
) -> Result<ExitCode, CliError> {
    let mut input = json!({ "id": args.of.id });
    if let (Some(key), Some(input)) = (&args.idempotency_key, input.as_object_mut()) {
        input.insert("idempotencyKey".to_owned(), json!(key));
    }
    // These requests are idempotent, so they may be repeated.
    let data = client.ask_surely(control.mutation(), json!({ "input": input })).await?;
    let asked = data.get("asked").cloned().unwrap_or_default();
    if json {
        output::line(&harmless_json(&asked.to_string()));
    } else {
        let state = asked
            .pointer("/orchestration/state")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_lowercase();
        output::line(&format!(
            "{} is {}; it was {}",
            one_line(&args.of.id),
            control.asked(),
            one_line(&state)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

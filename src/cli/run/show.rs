//! `run show`.

use super::figures::{count, took};
use super::frame::{summary, title};
use super::message::{StepState, WireRun, WireStep};
use super::queries::SHOW;
use crate::cli::client::Client;
use crate::cli::sanitize::{harmless_json, one_line, sanitize};
use crate::cli::{CliError, output};
use claviger_domain::code::ErrorCode;
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::process::ExitCode;

pub(super) async fn run(id: &str, client: &mut Client, json: bool) -> Result<ExitCode, CliError> {
    let data = client.ask(SHOW, json!({ "id": id })).await?;
    let node = data.get("orchestration").filter(|node| !node.is_null());
    let node = node.ok_or_else(|| {
        CliError::new(ErrorCode::NotFound, "no such run: list yours with claviger run list")
    })?;
    if json {
        output::line(&harmless_json(&node.to_string()));
        return Ok(ExitCode::SUCCESS);
    }
    let foreign = |_| {
        CliError::new(
            ErrorCode::BadRequest,
            "the server describes runs in another format: use a program of its version",
        )
    };
    let run = WireRun::deserialize(node).map_err(foreign)?;
    output::line(&title(&run));
    output::line(&summary(&run));
    if let Some(waiting) = &run.waiting {
        output::line(&one_line(&format!("{}; since {}", waiting.words(), waiting.since)));
    }
    if let Some(reason) = node.pointer("/resolution/chosen/reason").and_then(Value::as_str) {
        output::line(&format!("on {}", one_line(reason)));
    }
    output::line("");
    let rows: Vec<_> = run.steps.iter().map(row).collect();
    output::table(&["AGENT", "PURPOSE", "ROUND", "STATE", "ATTEMPTS", "TOOK", "TOKENS OUT"], &rows);
    for step in &run.steps {
        if let Some(waiting) = &step.waiting {
            output::line(&format!("{} {}", name(step), one_line(&waiting.words())));
        }
        if let Some(fallback) = &step.fallback {
            let fallback = one_line(&fallback.to_lowercase().replace('_', " "));
            output::line(&format!(
                "{}: its reply could not be used, instead: {fallback}",
                name(step)
            ));
        }
    }
    if let Some(text) = &run.output {
        output::line(&format!("\n{}", sanitize(text.trim_end())));
        return Ok(ExitCode::SUCCESS);
    }
    for step in run.steps.iter().filter(|step| step.state == StepState::Completed) {
        let text = step.output.as_deref().unwrap_or_default();
        output::line(&format!("\n== {}\n{}", name(step), sanitize(text.trim_end())));
    }
    Ok(ExitCode::SUCCESS)
}

fn name(step: &WireStep) -> String {
    one_line(step.agent.as_deref().unwrap_or(&step.purpose))
}

fn row(step: &WireStep) -> Vec<String> {
    vec![
        name(step),
        one_line(&step.purpose),
        step.round.map(|round| round.to_string()).unwrap_or_default(),
        step.state.word().to_owned(),
        step.attempt.to_string(),
        step.duration_ms.map(took).unwrap_or_default(),
        count(step.usage.in_and_out().1),
    ]
}

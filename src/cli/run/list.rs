//! `run list`.

use super::args::{ListArgs, StateArg};
use super::figures::{count, took, usd};
use super::message::WireRun;
use super::queries::LIST;
use crate::cli::client::Client;
use crate::cli::sanitize::{clipped, harmless_json, one_line};
use crate::cli::{CliError, output};
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::process::ExitCode;

/// The server's largest page.
const PAGE: u32 = 100;

/// Widest title, in columns.
const TITLE_MAX: usize = 40;

impl StateArg {
    const fn name(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

pub(super) async fn run(
    args: &ListArgs,
    client: &mut Client,
    json: bool,
) -> Result<ExitCode, CliError> {
    let states: Vec<_> = args.state.iter().map(|state| state.name()).collect();
    let patterns: Vec<_> =
        args.pattern.iter().map(|pattern| pattern.field().to_uppercase()).collect();
    let some = |names: Value| {
        if names.as_array().is_some_and(Vec::is_empty) { Value::Null } else { names }
    };
    let (mut left, mut after, mut rows) = (args.first, Value::Null, Vec::new());
    while left > 0 {
        let first = left.min(PAGE);
        let variables = json!({ "first": first, "after": after, "state": some(json!(states)), "pattern": some(json!(patterns)) });
        let data = client.ask(LIST, variables).await?;
        let page = data.pointer("/viewer/orchestrations").cloned().unwrap_or_default();
        for node in page.get("nodes").and_then(Value::as_array).into_iter().flatten() {
            if json {
                output::line(&harmless_json(&node.to_string()));
            } else {
                rows.extend(row(node));
            }
        }
        let has_next = page.pointer("/pageInfo/hasNextPage").and_then(Value::as_bool) == Some(true);
        left = if has_next { left.saturating_sub(first) } else { 0 };
        after = page.pointer("/pageInfo/endCursor").cloned().unwrap_or_default();
    }
    if !json && rows.is_empty() {
        output::line("no runs: start one with claviger run start (--help has examples)");
    } else if !json {
        output::table(
            &["ID", "PATTERN", "STATE", "TOOK", "TOKENS OUT", "COST", "CREATED", "TITLE"],
            &rows,
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn row(node: &Value) -> Option<Vec<String>> {
    let run = WireRun::deserialize(node).ok()?;
    let (_, output) = run.usage.in_and_out();
    Some(vec![
        one_line(&run.id),
        one_line(&run.pattern.to_lowercase()),
        run.state.word().to_owned(),
        run.duration_ms.map(took).unwrap_or_default(),
        count(output),
        run.cost_nano_usd
            .as_deref()
            .and_then(|nano| nano.parse().ok())
            .map_or("unknown".to_owned(), usd),
        one_line(node.get("createdAt").and_then(Value::as_str).unwrap_or_default()),
        clipped(&one_line(run.title.as_deref().unwrap_or_default()), TITLE_MAX),
    ])
}

//! The tour of runs: one of each pattern and a design, watched as any client would.

use super::replies;
use super::telling::{ask, broken, heading, nodes, text};
use crate::cli::client::Client;
use crate::cli::run::{Face, Left, Manner, START, Watch, count, usd, watch};
use crate::cli::{CliError, output};
use crate::system::environment::{Clock as _, SystemClock};
use claviger_domain::code::ErrorCode;
use claviger_domain::timestamp::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// How long a watched run may stay disconnected: the server is this process.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often usage is polled until it includes all runs, and the pause between polls.
const LOOKS: usize = 100;
const BETWEEN: Duration = Duration::from_millis(50);

const USAGE: &str = "query($from: DateTime!, $to: DateTime!) { viewer { usage(from: $from, to: $to, groupBy: [PATTERN]) { \
    pattern runs calls usage { inputTokens outputTokens } costNanoUsd } } }";

/// Runs everything; `false` if the user interrupts.
pub(super) async fn tour(client: &mut Client) -> Result<bool, CliError> {
    heading("She runs each pattern on that key, and watches the agents write");
    let (runs, since) = (replies::runs(), SystemClock.now());
    let wanted = runs.len();
    for (place, input) in runs.into_iter().enumerate() {
        if place > 0 {
            output::line("");
        }
        if !one(client, input).await? {
            return Ok(false);
        }
    }
    used(client, wanted, since).await?;
    Ok(true)
}

/// Starts a run and watches it to its end.
async fn one(client: &mut Client, input: Value) -> Result<bool, CliError> {
    let data = ask(client, START, json!({ "input": input })).await?;
    let id = text(&data, "/startOrchestration/orchestration/id");
    let mut face = Face::new(Manner::Brief);
    let how = Watch { client, id: &id, patience: PATIENCE, cancel_on_interrupt: false };
    match watch(how, &mut face).await? {
        Left::Ended(run) => match run.error {
            None => Ok(true),
            Some(error) => {
                let message =
                    format!("the demo's own run failed: {} [{}]", error.message, error.code);
                Err(CliError::new(ErrorCode::Internal, message))
            }
        },
        Left::Detached | Left::Unread | Left::Killed => Ok(false),
    }
}

/// The total usage, once its view includes every run.
async fn used(client: &mut Client, wanted: usize, since: Timestamp) -> Result<(), CliError> {
    heading("Usage by pattern");
    let day_ms = 24 * 3600 * 1000;
    let span = json!({ "from": since.to_string(), "to": since.plus_ms(day_ms).to_string() });
    let mut data = Value::Null;
    for _ in 0..LOOKS {
        data = client.ask(USAGE, span.clone()).await.map_err(|trouble| broken(&trouble))?;
        if nodes(&data, "/viewer/usage").filter_map(|row| row.get("runs")?.as_u64()).sum::<u64>()
            >= wanted as u64
        {
            break;
        }
        sleep(BETWEEN).await;
    }
    let number = |row: &Value, pointer: &str| text(row, pointer).parse::<u64>().ok();
    let rows: Vec<_> = nodes(&data, "/viewer/usage")
        .map(|row| {
            vec![
                text(row, "/pattern").to_lowercase(),
                text(row, "/runs"),
                text(row, "/calls"),
                number(row, "/usage/inputTokens").map(count).unwrap_or_default(),
                number(row, "/usage/outputTokens").map(count).unwrap_or_default(),
                number(row, "/costNanoUsd").map_or("unknown".to_owned(), usd),
            ]
        })
        .collect();
    output::table(&["PATTERN", "RUNS", "CALLS", "TOKENS IN", "TOKENS OUT", "COST"], &rows);
    Ok(())
}

//! `simulate`: the scripted Anthropic that the demo and the tests use.

use super::args::SimulateArgs;
use super::serve::on_signals;
use super::{CliError, output};
use crate::simulator::keys::{Scenario, key};
use crate::simulator::{SimulatorConfig, serve_until};
use crate::system::environment::{Clock as _, SystemClock};
use claviger_domain::code::ErrorCode;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn run(args: &SimulateArgs, json: bool) -> Result<ExitCode, CliError> {
    if args.keys {
        list(json);
        return Ok(ExitCode::SUCCESS);
    }
    let shutdown = on_signals()?;
    let mut config = SimulatorConfig::new(Arc::new(|| SystemClock.now())).lively();
    config.chunk_delay = Duration::from_millis(args.pace_ms);
    config.listen = args.at.0;
    let ready = |address| {
        output::line(&format!("the simulated Anthropic listens on http://{address}"));
        output::line(
            "list its scenarios with `claviger simulate --keys`; the requests it received are at \
             /sim/calls",
        );
    };
    serve_until(config, ready, shutdown.cancelled_owned())
        .await
        .map_err(|error| CliError::new(ErrorCode::Validation, super::with_causes(&error)))?;
    Ok(ExitCode::SUCCESS)
}

/// Every scenario with the key that selects it. These keys are worthless at Anthropic.
fn list(json: bool) {
    if json {
        let scenarios: Vec<_> = Scenario::ALL
            .iter()
            .map(|scenario| serde_json::json!({ "scenario": scenario.name(), "about": scenario.about(), "key": key(*scenario, 1) }))
            .collect();
        output::json(&scenarios);
        return;
    }
    let rows: Vec<_> = Scenario::ALL
        .iter()
        .map(|scenario| {
            vec![scenario.name().to_owned(), scenario.about().to_owned(), key(*scenario, 1)]
        })
        .collect();
    output::table(&["SCENARIO", "WHAT IT DOES", "KEY"], &rows);
}

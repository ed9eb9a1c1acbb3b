//! `replay`: rebuilds views from the log.

use super::args::ReplayArgs;
use super::{CliError, output};
use crate::app::config::Config;
use crate::app::wiring::Core;
use crate::system::environment::Environment;
use crate::views::{Replay, Report, registry};
use claviger_domain::failure::Failure;
use std::process::ExitCode;
use std::sync::Arc;

pub(super) async fn run(
    arguments: &ReplayArgs,
    config: &Config,
    json: bool,
) -> Result<ExitCode, CliError> {
    let core = Core::open(config, Environment::system(), "claviger replay").await?;
    let replay = Replay {
        store: Arc::clone(&core.store),
        keychain: Arc::clone(&core.keychain),
        env: core.env.clone(),
        check: arguments.check,
    };
    let reports = replay_all(&replay, arguments).await;
    drop(replay);
    core.close().await;
    let reports = reports?;
    if json {
        output::json(&reports);
    } else {
        for report in &reports {
            print(report, arguments.check);
        }
    }
    let found = reports
        .iter()
        .any(|report| report.failed_count > 0 || (arguments.check && report.differing_count > 0));
    Ok(if found { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn replay_all(replay: &Replay, arguments: &ReplayArgs) -> Result<Vec<Report>, Failure> {
    let mut reports = Vec::new();
    for view in registry::ALL.iter().filter(|view| arguments.view.is_none_or(|of| of == **view)) {
        reports.push(replay.run(view).await?);
    }
    Ok(reports)
}

fn print(report: &Report, check: bool) {
    let view = report.view;
    let (differs, fails) =
        if check { ("differs", "cannot be checked") } else { ("repaired", "cannot be repaired") };
    for (owners, count, what) in [
        (&report.differing, report.differing_count, differs),
        (&report.failed, report.failed_count, fails),
    ] {
        for owner in owners {
            output::line(&format!("{view} of {owner}: {what}"));
        }
        let named = owners.len() as u64;
        if count > named {
            output::line(&format!("and {} more", count - named));
        }
    }
    let done = if check { String::new() } else { format!(", {} repaired", report.changed) };
    let still = if report.quarantined == 0 {
        String::new()
    } else {
        format!(", {} rows no longer advance", report.quarantined)
    };
    output::line(&format!(
        "{view}: {} owners, {} differed{done}{still}",
        report.owners, report.differing_count
    ));
}

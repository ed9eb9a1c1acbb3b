//! `replay`: rebuilds views from the log.

use super::CliError;
use super::args::ReplayArgs;
use super::output::Text;
use crate::app::wiring::Core;
use crate::socket::Answer;
use crate::views::{Replay, Report, registry};
use claviger_domain::failure::Failure;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What to replay.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Wanted {
    /// The name of a view; `None` for every view.
    view: Option<String>,
    check: bool,
}

impl From<&ReplayArgs> for Wanted {
    fn from(args: &ReplayArgs) -> Self {
        Self { view: args.view.map(|view| view.name().to_owned()), check: args.check }
    }
}

pub(super) async fn execute(wanted: &Wanted, core: &Core, json: bool) -> Result<Answer, CliError> {
    let replay = Replay {
        store: Arc::clone(&core.store),
        keychain: Arc::clone(&core.keychain),
        env: core.env.clone(),
        check: wanted.check,
    };
    let reports = replay_all(&replay, wanted).await?;
    let mut text = Text::default();
    if json {
        text.json(&reports);
    } else {
        for report in &reports {
            print(&mut text, report, wanted.check);
        }
    }
    let found = reports
        .iter()
        .any(|report| report.failed_count > 0 || (wanted.check && report.differing_count > 0));
    Ok(Answer { out: text.into_string(), exit: u8::from(found) })
}

async fn replay_all(replay: &Replay, wanted: &Wanted) -> Result<Vec<Report>, Failure> {
    let mut reports = Vec::new();
    let is_wanted = |name: &str| wanted.view.as_ref().is_none_or(|view| view == name);
    for view in registry::ALL.iter().filter(|view| is_wanted(view.name())) {
        reports.push(replay.run(view).await?);
    }
    Ok(reports)
}

fn print(text: &mut Text, report: &Report, check: bool) {
    let view = report.view;
    let (differs, fails) =
        if check { ("differs", "cannot be checked") } else { ("repaired", "cannot be repaired") };
    for (owners, count, what) in [
        (&report.differing, report.differing_count, differs),
        (&report.failed, report.failed_count, fails),
    ] {
        for owner in owners {
            text.line(&format!("{view} of {owner}: {what}"));
        }
        let named = owners.len() as u64;
        if count > named {
            text.line(&format!("and {} more", count - named));
        }
    }
    let done = if check { String::new() } else { format!(", {} repaired", report.changed) };
    let still = if report.quarantined == 0 {
        String::new()
    } else {
        format!(", {} rows no longer advance", report.quarantined)
    };
    text.line(&format!(
        "{view}: {} owners, {} differed{done}{still}",
        report.owners, report.differing_count
    ));
}

//! `verify`: checks everything against the log.

use super::{CliError, output};
use crate::app::config::Config;
use crate::app::wiring::Core;
use crate::audit::verify::verify;
use crate::system::environment::Environment;
use std::process::ExitCode;
use std::sync::Arc;

pub(super) async fn run(config: &Config, json: bool) -> Result<ExitCode, CliError> {
    let core = Core::open(config, Environment::system(), "claviger verify").await?;
    let report = verify(Arc::clone(&core.store), Arc::clone(&core.keychain)).await;
    core.close().await;
    let report = report?;
    if json {
        output::json(&report);
    } else {
        for problem in &report.problems {
            output::line(&format!("wrong: {problem}"));
        }
        let listed = report.problems.len() as u64;
        if report.problem_count > listed {
            output::line(&format!("and {} more", report.problem_count - listed));
        }
        output::line(&format!(
            "events {}, streams {}, accounts {}, keys {}, runs {}: {}",
            report.events,
            report.streams,
            report.accounts,
            report.keys,
            report.runs,
            if report.problem_count == 0 {
                "everything agrees with the log".to_owned()
            } else {
                format!("problems {}", report.problem_count)
            }
        ));
        let rows: Vec<String> =
            report.rows.iter().map(|(table, rows)| format!("{table} {rows}")).collect();
        output::line(&format!("rows read: {}", rows.join(", ")));
        if report.written_meanwhile {
            output::line(
                "the store was written to meanwhile, so a problem may be none: verify again while \
                 nothing writes",
            );
        }
        if report.problem_count > 0 {
            output::line(
                "views are mended by `claviger replay`; ops/docs/SECURITY.md says what each problem \
                 means and what cannot be found",
            );
        }
        output::line(&format!("root {}", report.root));
    }
    Ok(if report.problem_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

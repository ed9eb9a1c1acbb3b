//! `verify`: checks everything against the log.

use super::CliError;
use super::output::Text;
use crate::app::wiring::{Core, Frozen};
use crate::audit::verify::verify;
use crate::socket::Answer;

pub(super) async fn execute(core: &Core, json: bool) -> Result<Answer, CliError> {
    let Frozen { store, keychain } = core.frozen().await?;
    let report = verify(store, keychain).await?;
    let mut text = Text::default();
    if json {
        text.json(&report);
    } else {
        for problem in &report.problems {
            text.line(&format!("wrong: {problem}"));
        }
        let listed = report.problems.len() as u64;
        if report.problem_count > listed {
            text.line(&format!("and {} more", report.problem_count - listed));
        }
        text.line(&format!(
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
        text.line(&format!("rows read: {}", rows.join(", ")));
        if report.written_meanwhile {
            text.line(
                "the store was written to meanwhile, so a problem may be none: verify again while \
                 nothing writes",
            );
        }
        if report.problem_count > 0 {
            text.line(
                "views are mended by `claviger replay`; ops/docs/SECURITY.md says what each problem \
                 means and what cannot be found",
            );
        }
        text.line(&format!("root {}", report.root));
    }
    Ok(Answer { out: text.into_string(), exit: u8::from(report.problem_count > 0) })
}

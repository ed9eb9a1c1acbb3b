//! Formats figures.

use crate::{Range, Spread};
use claviger::cli::output;

/// Most figures of an unoptimised build are meaningless.
pub(super) fn warn_unoptimised() {
    if cfg!(debug_assertions) {
        tracing::warn!(
            "this program was built without optimisation, so its figures mean little: cargo build --release"
        );
    }
}

pub(super) fn whole(range: Range) -> String {
    format!("{:.0} ({:.0} to {:.0})", range.median, range.low, range.high)
}

pub(super) fn tenths(range: Range) -> String {
    format!("{:.1} ({:.1} to {:.1})", range.median, range.low, range.high)
}

pub(super) fn parts(range: Range) -> String {
    format!("{:.2} ({:.2} to {:.2})", range.median, range.low, range.high)
}

pub(super) fn waits(spread: Spread) -> String {
    format!("{:.2} / {:.2}", spread.p50_ms, spread.p99_ms)
}

/// A table as Markdown or for a terminal.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>], as_markdown: bool) {
    if as_markdown { markdown(heading, rows) } else { output::table(heading, rows) }
}

pub(super) fn markdown(heading: &[&str], rows: &[Vec<String>]) {
    output::line(&format!("| {} |", heading.join(" | ")));
    output::line(&format!("|{}", "---:|".repeat(heading.len())));
    for row in rows {
        output::line(&format!("| {} |", row.join(" | ")));
    }
}

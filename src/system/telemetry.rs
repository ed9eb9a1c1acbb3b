//! Logging to standard error, which keeps standard output free for the program's results.

use std::io::IsTerminal as _;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Which lines may be written, even if the configured filter admits more: at DEBUG and TRACE the
/// HTTP crates write request headers, tokens among them. This program's own lines contain no secret
/// at any level.
fn may_be_written(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("claviger") || *metadata.level() <= Level::INFO
}

/// Starts logging. `filter` as in `RUST_LOG`, from `CLAVIGER_LOG`; `json`: one object per line.
pub fn start(filter: Option<&str>, quiet: bool, json: bool) {
    let fallback = if quiet { "warn" } else { "info" };
    let filter = EnvFilter::builder().parse_lossy(filter.unwrap_or(fallback));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = if json { lines.json().boxed() } else { lines.boxed() };
    let started = tracing_subscriber::registry()
        .with(lines.with_filter(filter_fn(may_be_written)))
        .with(filter)
        .try_init();
    // Starting again, as tests do, has no effect.
    drop(started);
}

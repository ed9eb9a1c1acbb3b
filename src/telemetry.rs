//! Log lines: to standard error, so that standard output stays a program's own.

use tracing_subscriber::EnvFilter;

/// Starts logging. `filter` as in `RUST_LOG`, from `CLAVIGER_LOG`; `json`: one object a line.
pub fn start(filter: Option<&str>, quiet: bool, json: bool) {
    let fallback = if quiet { "warn" } else { "info" };
    let filter = EnvFilter::builder().parse_lossy(filter.unwrap_or(fallback));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true);
    // A second start, as tests do, changes nothing.
    let started = if json { lines.json().try_init() } else { lines.try_init() };
    drop(started);
}

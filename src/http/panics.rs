//! Panics: where they happened is logged, what they said is not, because a panic's text may quote what it choked on.

use futures::FutureExt;
use std::panic::{AssertUnwindSafe, PanicHookInfo};

/// The future panicked; the hook has logged where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a handler panicked")]
pub struct Panicked;

/// Replaces the process's panic hook, which prints the payload to standard error. Call once, at start.
pub fn report_location_only() {
    std::panic::set_hook(Box::new(report));
}

/// The hook itself. Runs where the panic happened, so inside the span of the request that caused it.
fn report(info: &PanicHookInfo<'_>) {
    match info.location() {
        Some(at) => tracing::error!(file = at.file(), line = at.line(), column = at.column(), "panicked"),
        None => tracing::error!("panicked"),
    }
}

/// Runs a future and turns its panic into an error.
///
/// # Errors
/// [`Panicked`]; the payload is dropped unread.
pub async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    // What the future borrowed mutably is dropped with it, so nobody sees it half changed.
    AssertUnwindSafe(future).catch_unwind().await.map_err(|_| Panicked)
}

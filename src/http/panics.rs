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
    // The standard library always knows the place; it only doesn't promise to.
    let (file, line) = info.location().map_or(("unknown", 0), |at| (at.file(), at.line()));
    tracing::error!(file, line, "panicked");
}

/// Runs a future and turns its panic into an error.
///
/// # Errors
/// [`Panicked`]; the payload is dropped unread.
pub async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    // What the future borrowed mutably is dropped with it, so nobody sees it half changed.
    AssertUnwindSafe(future).catch_unwind().await.map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::{Panicked, caught, report};
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_panic_is_reported_by_its_place_and_not_by_its_text() {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(report));
        let ended = caught(async { std::iter::empty::<bool>().next().expect("swordfish") }).await;
        std::panic::set_hook(before);
        let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        assert_eq!(ended, Err(Panicked));
        assert!(log.contains("panicked") && log.contains(file!()), "{log}");
        assert!(!log.contains("swordfish"), "{log}");
    }
}

//! Panic reports: the log gets a panic's location and not its message, which may quote the data
//! that caused it.

use futures::FutureExt;
use std::panic::{AssertUnwindSafe, PanicHookInfo};

/// The future panicked; the hook has logged the location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a handler panicked")]
pub struct Panicked;

/// Replaces the process's panic hook, which prints the payload to standard error. Called once,
/// before anything that could panic; reports reach the log once telemetry has started.
pub fn report_location_only() {
    std::panic::set_hook(Box::new(report));
}

/// The hook. Runs where the panic happened, so inside the span of the request that caused it.
fn report(info: &PanicHookInfo<'_>) {
    // The standard library always provides the location, but doesn't promise to.
    let (file, line) = info.location().map_or(("unknown", 0), |at| (at.file(), at.line()));
    tracing::error!(file, line, "panicked");
}

/// Runs a future and turns a panic into an error.
///
/// # Errors
/// [`Panicked`]; the payload is dropped unread.
pub async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    // The future is dropped with everything it borrowed mutably, so no half-changed state stays
    // visible.
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
    async fn a_panic_is_reported_by_its_location_and_not_by_its_text() {
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

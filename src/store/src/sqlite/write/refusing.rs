//! Whether the disk takes what is written: for the health of a server whose reads go on.

use rusqlite::ErrorCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A refusal that nothing followed is forgotten after so long: a server that gets no requests any
/// more would never write again, and never know that there is space.
const MEMORY: Duration = Duration::from_mins(1);

/// When a write was refused for lack of space or of rights; `None` after one that succeeded.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Refusing(Mutex<Option<Instant>>);

impl Refusing {
    pub(super) fn written(&self) {
        self.set(None);
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) {
        if let Some(ErrorCode::DiskFull | ErrorCode::ReadOnly) = error.sqlite_error_code() {
            self.set(Some(Instant::now()));
        }
    }

    pub(in crate::sqlite) fn is_recent(&self) -> bool {
        let refused = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.is_some_and(|at| at.elapsed() < MEMORY)
    }

    fn set(&self, refused: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }
}

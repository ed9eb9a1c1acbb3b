//! Where a test may hold the writer or make it fail. Production passes [`NoFaults`].

use claviger_projections::ports::Append;
use rusqlite::ffi;

/// How a step is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A statement fails for a reason nobody foresaw.
    Statement,
    /// The disk is full.
    Full,
    /// The disk reports that data could not be made durable.
    Io,
}

impl Fault {
    /// The error SQLite would have answered.
    pub(super) fn error(self) -> rusqlite::Error {
        let code = match self {
            Self::Statement => ffi::SQLITE_ERROR,
            Self::Full => ffi::SQLITE_FULL,
            Self::Io => ffi::SQLITE_IOERR_FSYNC,
        };
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }
}

/// Failpoints of the writer. Called on its thread: a call that blocks holds every writer.
pub trait Faults: Send + Sync {
    /// Before an append is executed, inside the transaction and the append's savepoint.
    fn before_append(&self, _append: &Append) -> Option<Fault> {
        None
    }

    /// When everything of a batch of `tasks` is inserted and nothing is committed. A fault given here is COMMIT's own.
    fn before_commit(&self, _tasks: usize) -> Option<Fault> {
        None
    }
}

/// Nothing fails but what really fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {}

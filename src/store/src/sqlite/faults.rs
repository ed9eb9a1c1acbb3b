//! Points at which a test can block the writer or make it fail. Production passes [`NoFaults`].

use claviger_projections::ports::Append;
use rusqlite::ffi;

/// How a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A statement fails unexpectedly.
    Statement,
    /// The disk is full.
    Full,
    /// The disk reports that data could not be made durable.
    Io,
}

impl Fault {
    /// The error that SQLite would return.
    pub(super) fn error(self) -> rusqlite::Error {
        let code = match self {
            Self::Statement => ffi::SQLITE_ERROR,
            Self::Full => ffi::SQLITE_FULL,
            Self::Io => ffi::SQLITE_IOERR_FSYNC,
        };
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }
}

/// Failpoints of the writer. Called on its thread: a call that blocks stops all writing.
pub trait Faults: Send + Sync {
    /// Before an append is executed, inside the transaction and the append's savepoint.
    fn before_append(&self, _append: &Append) -> Option<Fault> {
        None
    }

    /// After a batch of `tasks` is inserted and before anything is committed. A fault returned here
    /// counts as COMMIT's own.
    fn before_commit(&self, _tasks: usize) -> Option<Fault> {
        None
    }
}

/// Injects no faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {}

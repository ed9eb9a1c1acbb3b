//! How a task of a batch can end without success.

use crate::sqlite::query::DbError;
use claviger_projections::ports::{AppendError, StoreError};

#[derive(Debug)]
pub(in crate::sqlite) enum Stop {
    /// It is refused: its savepoint is rolled back, the other tasks continue.
    Refused(AppendError),
    /// SQLite failed: the transaction is not reliable.
    Unexpected(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unexpected(error)
    }
}

impl From<AppendError> for Stop {
    fn from(error: AppendError) -> Self {
        Self::Refused(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Refused(AppendError::Store(error))
    }
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Sqlite(error) => Self::Unexpected(error),
            DbError::Store(error) => error.into(),
        }
    }
}

/// A number to be stored: SQLite stores 63 bits of it.
pub(in crate::sqlite) fn stored(number: u64) -> Result<i64, AppendError> {
    i64::try_from(number).map_err(|_| AppendError::Malformed("a number above 2^63 - 1"))
}

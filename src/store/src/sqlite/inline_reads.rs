//! Reading on the caller's thread: most queries find a row or a few by their key, in less time than
//! two thread switches take. A query that turns out long is interrupted and repeated on a reader's
//! thread, so that it does not block the runtime's threads.

use super::query::DbError;
use super::readers::in_transaction;
use claviger_projections::ports::StoreError;
use rusqlite::{Connection, ErrorCode};
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// After this number of virtual-machine steps, SQLite calls the progress handler. It counts them
/// over all uses of a statement.
const STEPS: i32 = 500;

/// How often a query here may continue: some hundred rows, and at most a few hundred microseconds.
const TURNS: u32 = 8;

/// Connections for any caller that finds one free. A slot is empty once the store is closed.
/// Bytes of rows that a query here may read. A hundred events can have 25 MB: to read
/// and copy them would hold the caller's thread.
const BYTES: usize = 256 * 1024;

thread_local! {
    /// What the query on this thread may still read; `None` outside of inline reads.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Accounts for a row that was read.
///
/// # Errors
/// As an interrupted query, if this one reads inline and has read too much: it is repeated on a
/// reader's thread.
pub(super) fn spend(bytes: usize) -> rusqlite::Result<()> {
    LEFT.with(|left| match left.get() {
        None => Ok(()),
        Some(now) if now < bytes => {
            let interrupted = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT);
            Err(rusqlite::Error::SqliteFailure(interrupted, None))
        }
        Some(now) => {
            left.set(Some(now - bytes));
            Ok(())
        }
    })
}

#[expect(missing_debug_implementations, reason = "connections")]
pub struct InlineReads(Vec<Mutex<Option<Place>>>);

struct Place {
    connection: Connection,
    /// How often the current query may still continue.
    turns: Arc<AtomicU32>,
}

impl InlineReads {
    /// Configures the connections to never wait for a lock and to be interruptible.
    pub fn over(connections: Vec<Connection>) -> rusqlite::Result<Self> {
        let set_up = |mut connection: Connection| {
            let turns = Arc::new(AtomicU32::new(u32::MAX));
            let left = Arc::clone(&turns);
            connection.busy_timeout(Duration::ZERO)?;
            // Once it is out of turns, it stays so until the next query.
            let is_over = move || {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_err()
            };
            connection.progress_handler(STEPS, Some(is_over))?;
            Ok(Mutex::new(Some(Place { connection, turns })))
        };
        connections.into_iter().map(set_up).collect::<rusqlite::Result<_>>().map(Self)
    }

    /// The result, if there is one without waiting; the query sees one snapshot of the store.
    pub fn ask<T>(
        &self,
        question: impl Fn(&Connection) -> Result<T, DbError>,
    ) -> Option<Result<T, StoreError>> {
        self.with(|place| {
            in_transaction(&place.connection, |connection| place.bounded(|| question(connection)))
        })
    }

    /// The same for a query of a single statement, which sees one snapshot by itself.
    pub fn look<T>(
        &self,
        question: impl Fn(&Connection) -> Result<T, DbError>,
    ) -> Option<Result<T, StoreError>> {
        self.with(|place| place.bounded(|| question(&place.connection)))
    }

    fn with<T>(
        &self,
        asked: impl FnOnce(&Place) -> Result<T, DbError>,
    ) -> Option<Result<T, StoreError>> {
        let mut free = self.0.iter().find_map(|place| place.try_lock().ok())?;
        // Taken out: should the query panic, its transaction ends with the connection.
        let place = free.take()?;
        let answer = asked(&place);
        *free = Some(place);
        match answer {
            Err(DbError::Sqlite(error)) if is_put_off(&error) => None,
            answer => Some(answer.map_err(StoreError::from)),
        }
    }

    /// Drops the connections, each when its current user is done.
    pub fn close(&self) {
        for place in &self.0 {
            drop(place.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

impl Place {
    /// Only `asked` is bounded. Other work, such as ending a transaction, may take as long as it
    /// needs.
    fn bounded<T>(&self, asked: impl FnOnce() -> T) -> T {
        self.turns.store(TURNS, Ordering::Relaxed);
        LEFT.set(Some(BYTES));
        let answer = asked();
        LEFT.set(None);
        self.turns.store(u32::MAX, Ordering::Relaxed);
        answer
    }
}

/// Whether a thread that may wait will get a result.
fn is_put_off(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::OperationInterrupted | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query;

    #[test]
    fn a_query_that_reads_much_is_left_to_a_thread() {
        let near = InlineReads::over(vec![Connection::open_in_memory().unwrap()]).unwrap();
        let read = |rows: i64, bytes: usize| {
            let bytes = i64::try_from(bytes).unwrap();
            let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) SELECT zeroblob(?2) FROM n";
            let found = near.look(|connection| {
                query::rows(connection, "n", sql, [rows, bytes], |cells| {
                    cells.bytes().map(<[u8]>::len)
                })
            });
            found.map(|answer| answer.unwrap().iter().sum::<usize>())
        };
        assert_eq!(read(3, BYTES / 4), Some(BYTES / 4 * 3));
        assert_eq!(read(5, BYTES / 4), None);
        assert_eq!(read(1, BYTES + 1), None);
        // The next query has all of it again, and outside nothing is counted.
        assert_eq!(read(4, BYTES / 4), Some(BYTES));
        assert!(spend(usize::MAX).is_ok());
    }
}

//! Reading where it is asked: most questions find a row or a few by their key, in less time than two switches of threads take. One that
//! turns out long is interrupted and asked again of a reader's thread, so that nobody keeps the runtime's threads from their work.

use super::query::DbError;
use super::readers::in_transaction;
use claviger_projections::ports::StoreError;
use rusqlite::{Connection, ErrorCode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// After so many steps of its machine SQLite asks whether to go on. It counts them over all uses of a statement.
const STEPS: i32 = 500;

/// How often a question here may go on: some hundred rows, and at most a few hundred microseconds.
const TURNS: u32 = 8;

/// Connections that anybody may use who finds one free. A place is empty once the store is closed.
pub(super) struct Near(Vec<Mutex<Option<Place>>>);

struct Place {
    connection: Connection,
    /// How often the question that is being asked may go on still.
    turns: Arc<AtomicU32>,
}

impl Near {
    /// Over connections that wait for nothing and are interrupted.
    pub(super) fn over(connections: Vec<Connection>) -> rusqlite::Result<Self> {
        let set_up = |mut connection: Connection| {
            let turns = Arc::new(AtomicU32::new(u32::MAX));
            let left = Arc::clone(&turns);
            connection.busy_timeout(Duration::ZERO)?;
            // One that is out of turns stays so until the next question.
            let is_over = move || {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_err()
            };
            connection.progress_handler(STEPS, Some(is_over))?;
            Ok(Mutex::new(Some(Place { connection, turns })))
        };
        connections.into_iter().map(set_up).collect::<rusqlite::Result<_>>().map(Self)
    }

    /// The answer, if there is one without waiting; the question sees one moment of the store.
    pub(super) fn ask<T>(
        &self,
        question: impl Fn(&Connection) -> Result<T, DbError>,
    ) -> Option<Result<T, StoreError>> {
        self.with(|place| {
            in_transaction(&place.connection, |connection| place.bounded(|| question(connection)))
        })
    }

    /// The same for a question of one statement, which sees one moment by itself.
    pub(super) fn look<T>(
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
        // Taken out: should the question panic, its transaction ends with the connection.
        let place = free.take()?;
        let answer = asked(&place);
        *free = Some(place);
        match answer {
            Err(DbError::Sqlite(error)) if is_put_off(&error) => None,
            answer => Some(answer.map_err(StoreError::from)),
        }
    }

    /// Gives the connections up, each once whoever uses it is done.
    pub(super) fn close(&self) {
        for place in &self.0 {
            drop(place.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

impl Place {
    /// Whatever is done beside, ending a transaction above all, is done however long it takes.
    fn bounded<T>(&self, asked: impl FnOnce() -> T) -> T {
        self.turns.store(TURNS, Ordering::Relaxed);
        let answer = asked();
        self.turns.store(u32::MAX, Ordering::Relaxed);
        answer
    }
}

/// A thread that may wait will have an answer.
fn is_put_off(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::OperationInterrupted | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

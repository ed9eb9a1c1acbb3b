//! Rows of text that a run's attempts wrote between two of its events. They are not events: no
//! proof covers them, and they expire a day after the run has ended.

use super::{BoxFuture, StoreError};
use claviger_domain::id::{RunId, UserId};
use claviger_domain::timestamp::Timestamp;

/// The place of a row: the run, the event before it, and its number after that event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeltaPlace {
    /// The run that the row belongs to.
    pub run: RunId,
    /// Version of the run's last event before the row.
    pub v: u64,
    /// Number of the row after that event, from 1.
    pub d: u64,
}

/// A row of text, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaRow {
    /// The row's place; unique.
    pub place: DeltaPlace,
    /// The user who owns the run.
    pub owner: UserId,
    /// Sealed box with the JSON of the pieces, under the content key of the run's stream.
    pub sealed: Vec<u8>,
    /// When the row was written.
    pub at: Timestamp,
}

/// Why rows were not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlushError {
    /// Other rows stand at these places: another process has written for these runs. All other rows
    /// of the flush are durable.
    #[error("rows at {} places belong to another writer: reload their runs", .0.len())]
    Taken(Vec<DeltaPlace>),
    /// The store failed. It is unknown which rows were written: flush the same bytes again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The port for rows of text.
pub trait Deltas: Send + Sync {
    /// Writes rows of one or several runs. They are durable when it returns. A row that is already
    /// stored with the same owner and bytes counts as written, so the same flush may be repeated. A
    /// row is never replaced.
    fn flush(&self, rows: Vec<DeltaRow>) -> BoxFuture<'_, Result<(), FlushError>>;

    /// Rows of a run after the place `(v, d)`, at most `limit`, ordered by (v, d).
    fn deltas(
        &self,
        run: RunId,
        after: (u64, u64),
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DeltaRow>, StoreError>>;

    /// Number of rows that are durable after the event with version `v`: from row 1 up to the first
    /// missing row.
    fn count_deltas(&self, run: RunId, v: u64) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Deletes all rows of a run and its timer [`super::TimerKind::DeltaExpiry`]; returns the
    /// number of rows. After a crash in between, the timer remains, and the deletion is repeated.
    fn expire_deltas(&self, owner: UserId, run: RunId) -> BoxFuture<'_, Result<u64, StoreError>>;
}

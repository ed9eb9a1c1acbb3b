//! Rows of text that a run's attempts wrote between two of its events. They are no events: nobody's proof stands on them, and they
//! expire a day after the run has ended.

use super::{BoxFuture, StoreError};
use claviger_domain::id::{RunId, UserId};
use claviger_domain::timestamp::Timestamp;

/// Where a row stands: behind which event of which run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeltaPlace {
    /// The run.
    pub run: RunId,
    /// Version of the event that was the last.
    pub v: u64,
    /// Which row after it, from 1.
    pub d: u64,
}

/// A row of text, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaRow {
    /// Where it stands; unique.
    pub place: DeltaPlace,
    /// Whose run it is.
    pub owner: UserId,
    /// Sealed box with the JSON of the pieces, under the content key of the run's stream.
    pub sealed: Vec<u8>,
    /// When it was written.
    pub at: Timestamp,
}

/// Why rows were not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlushError {
    /// At these places other rows stand: somebody else has written for these runs. All other rows of the flush are durable.
    #[error("rows of {} runs or places are another writer's: load these runs anew", .0.len())]
    Taken(Vec<DeltaPlace>),
    /// The store failed. Nobody knows which rows are in: flush the same bytes again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rows of text.
pub trait Deltas: Send + Sync {
    /// Writes rows, of several runs at once. Durable when it returns. A row that stands there already with the same owner and bytes is
    /// none to write, so the same flush may be repeated; a row is never replaced.
    fn flush(&self, rows: Vec<DeltaRow>) -> BoxFuture<'_, Result<(), FlushError>>;

    /// Rows of a run behind the place `(v, d)`, at most `limit`, ordered by (v, d).
    fn deltas(
        &self,
        run: RunId,
        after: (u64, u64),
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DeltaRow>, StoreError>>;

    /// How many rows are durable after the event with version `v`: row 1 and on, up to the first that is missing.
    fn count_deltas(&self, run: RunId, v: u64) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Deletes all rows of a run and its timer [`super::TimerKind::DeltaExpiry`]; how many rows there were. A crash in between leaves the
    /// timer, and it is done again.
    fn expire_deltas(&self, owner: UserId, run: RunId) -> BoxFuture<'_, Result<u64, StoreError>>;
}

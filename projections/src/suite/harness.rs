//! What the suite needs of whoever runs it.

use super::case::Failure;
use crate::ports::{BoxFuture, Store};
use claviger_domain::id::EventId;
use std::sync::Arc;

/// Makes stores of one implementation.
pub trait Harness: Send + Sync {
    /// A new, empty store. A case asks once.
    fn fresh(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>>;

    /// The data of the store that [`Harness::fresh`] gave last, opened by a new process after the old one was killed: no goodbye,
    /// no last checkpoint. The old handle isn't used any more.
    fn reopen(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>>;

    /// A second process on the same data, where the store allows one.
    fn another(&self) -> BoxFuture<'_, Result<Option<Arc<dyn Store>>, Failure>> {
        Box::pin(async { Ok(None) })
    }

    /// SHA-256: leaves and frontiers are computed a second time, apart from the store.
    fn sha256(&self, bytes: &[u8]) -> [u8; 32];

    /// Ways to hold the store or to make it fail, where there are any.
    fn faults(&self) -> Option<&dyn FaultHooks> {
        None
    }
}

/// Holds a store, or makes it fail.
pub trait FaultHooks: Send + Sync {
    /// From now on a transaction with appends stops between its inserts and its commit.
    fn park(&self);

    /// Resolves when a transaction stands there.
    fn parked(&self) -> BoxFuture<'_, ()>;

    /// Lets it go on, and stops no other.
    fn release(&self);

    /// Whenever the append with this event is tried, one of its statements fails for no reason that the store knows.
    fn fail_statement(&self, event: EventId);

    /// The next commit of appends fails, and the one after it, `times` in all; nothing of theirs is in.
    fn fail_commits(&self, times: usize);
}

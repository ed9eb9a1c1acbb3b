//! The interface between the suite and a store's tests.

use crate::case::Failure;
use claviger_domain::id::EventId;
use claviger_projections::ports::{BoxFuture, Store};
use std::sync::Arc;

/// Makes stores of one implementation.
pub trait Harness: Send + Sync {
    /// A new, empty store. A case calls it once.
    fn fresh(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>>;

    /// The data of the store that [`Harness::fresh`] returned last, opened by a new process after
    /// the old one was killed without a shutdown or a last checkpoint. The old handle is no longer
    /// used.
    fn reopen(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>>;

    /// A second process on the same data, where the store allows one.
    fn another(&self) -> BoxFuture<'_, Result<Option<Arc<dyn Store>>, Failure>> {
        Box::pin(async { Ok(None) })
    }

    /// SHA-256, for a second computation of leaves and frontiers, separate from the store.
    fn sha256(&self, bytes: &[u8]) -> [u8; 32];

    /// Controls that pause the store or make it fail, if it has any.
    fn faults(&self) -> Option<&dyn FaultHooks> {
        None
    }
}

/// Pauses a store, or makes it fail.
pub trait FaultHooks: Send + Sync {
    /// From now on, a transaction with appends stops between its inserts and its commit.
    fn park(&self);

    /// Resolves when a transaction has stopped there.
    fn parked(&self) -> BoxFuture<'_, ()>;

    /// Lets the stopped transaction continue, and stops no other.
    fn release(&self);

    /// Whenever the append with this event is tried, one of its statements fails for a reason
    /// unknown to the store.
    fn fail_statement(&self, event: EventId);

    /// The next `times` commits of appends fail and write nothing.
    fn fail_commits(&self, times: usize);
}

//! The ports of leases, followers and repairs.

use super::read;
use super::store::SqliteStore;
use super::write::{self, JobOf, Stop, TaskKind, Worked};
use claviger_domain::id::UserId;
use claviger_projections::ports::{
    Advance, AdvanceError, BoxFuture, Checkpoint, Followers, Hold, Holder, LeaseName, Leases,
    Quarantined, Repairs, Replace, ReplaceError, StoreError,
};
use rusqlite::Connection;
use std::sync::Arc;

impl SqliteStore {
    /// Has the writer run `work` in its transaction.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl Fn(&Connection) -> Result<Worked<T>, Stop> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(|reply| TaskKind::Job(Box::new(JobOf::new(bytes, work, reply)))).await?
    }
}

impl Leases for SqliteStore {
    fn hold(
        &self,
        name: LeaseName,
        holder: Holder,
        ttl_ms: u64,
    ) -> BoxFuture<'_, Result<Hold, StoreError>> {
        let leases = Arc::clone(&self.leases);
        Box::pin(self.work(0, move |_| Ok(Worked::nothing(leases.hold(name, holder, ttl_ms)))))
    }

    fn release(&self, name: LeaseName, holder: Holder) -> BoxFuture<'_, Result<bool, StoreError>> {
        let leases = Arc::clone(&self.leases);
        Box::pin(self.work(0, move |_| Ok(Worked::nothing(leases.release(name, holder)))))
    }
}

impl Followers for SqliteStore {
    fn checkpoint(&self, view: &'static str) -> BoxFuture<'_, Result<Checkpoint, StoreError>> {
        self.readers.ask(move |db| read::checkpoint(db, view))
    }

    fn advance(&self, advance: Advance) -> BoxFuture<'_, Result<(), AdvanceError>> {
        let (leases, bytes) = (Arc::clone(&self.leases), write::weight(&advance.changes));
        Box::pin(
            async move { self.work(bytes, move |db| write::advance(db, &leases, &advance)).await? },
        )
    }

    fn quarantined(
        &self,
        view: &'static str,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Quarantined>, StoreError>> {
        self.ask_skipping(move |db, skipped| read::quarantined(db, view, limit, skipped))
    }

    fn count_quarantined(&self, view: &'static str) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.readers.ask(move |db| read::count_quarantined(db, view))
    }
}

impl Repairs for SqliteStore {
    fn replace(&self, replace: Replace) -> BoxFuture<'_, Result<(), ReplaceError>> {
        let bytes = replace
            .rows
            .iter()
            .map(|row| 256 + row.facts.len() + row.content.as_ref().map_or(0, Vec::len))
            .sum();
        Box::pin(async move { self.work(bytes, move |db| write::replace(db, &replace)).await? })
    }

    fn owners_with_keys(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<UserId>, StoreError>> {
        self.ask_skipping(move |db, skipped| read::owners_with_keys(db, after, limit, skipped))
    }
}

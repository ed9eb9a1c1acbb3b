//! The ports of leases, followers and repairs.

use super::error::DbError;
use super::store::MongoStore;
use super::{leases, read, write};
use claviger_domain::id::UserId;
use claviger_projections::ports::{
    Advance, AdvanceError, BoxFuture, Checkpoint, Followers, Hold, Holder, LeaseName, Leases,
    Quarantined, Repairs, Replace, ReplaceError, StoreError,
};

use std::sync::Arc;

/// What each method returns.
type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Leases for MongoStore {
    fn hold(&self, name: LeaseName, holder: Holder, ttl_ms: u64) -> Answer<'_, Hold> {
        let process = Arc::clone(&self.process);
        self.ask(move |db| async move {
            let held = leases::hold(&db, name, holder, ttl_ms).await;
            if held.as_ref().is_err_and(DbError::is_conflict) {
                // A process that was killed during an advance under this lease still holds the
                // document.
                process.end_lapsed().await?;
            }
            held
        })
    }

    fn release(&self, name: LeaseName, holder: Holder) -> Answer<'_, bool> {
        self.ask(move |db| async move { leases::release(&db, name, holder).await })
    }
}

impl Followers for MongoStore {
    fn checkpoint(&self, view: &'static str) -> Answer<'_, Checkpoint> {
        self.ask(move |db| async move { read::checkpoint(&db, view).await })
    }

    fn advance(&self, advance: Advance) -> BoxFuture<'_, Result<(), AdvanceError>> {
        let process = Arc::clone(&self.process);
        let asked = self.ask(move |_| async move { write::settle(&process, &advance).await });
        Box::pin(async move { asked.await? })
    }

    fn quarantined(&self, view: &'static str, limit: usize) -> Answer<'_, Vec<Quarantined>> {
        let skipped = Arc::clone(&self.skipped);
        self.ask(move |db| async move { read::quarantined(&db, view, limit, &skipped).await })
    }

    fn count_quarantined(&self, view: &'static str) -> Answer<'_, u64> {
        self.ask(move |db| async move { read::count_quarantined(&db, view).await })
    }
}

impl Repairs for MongoStore {
    fn replace(&self, replace: Replace) -> BoxFuture<'_, Result<(), ReplaceError>> {
        let process = Arc::clone(&self.process);
        let asked = self.ask(move |_| async move { write::settle(&process, &replace).await });
        Box::pin(async move { asked.await? })
    }

    fn owners_with_keys(&self, after: Option<UserId>, limit: usize) -> Answer<'_, Vec<UserId>> {
        let skipped = Arc::clone(&self.skipped);
        self.ask(move |db| async move { read::owners_with_keys(&db, after, limit, &skipped).await })
    }
}

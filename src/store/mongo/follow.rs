//! The ports of leases, followers and repairs.

use super::store::MongoStore;
use super::{leases, read, write};
use claviger_domain::id::UserId;
use claviger_projections::ports::{
    Advance, AdvanceError, BoxFuture, Checkpoint, Followers, Hold, Holder, LeaseName, Leases, Quarantined, Repairs, Replace,
    ReplaceError, StoreError,
};

/// A future that answers or fails.
type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Leases for MongoStore {
    fn hold(&self, name: LeaseName, holder: Holder, ttl_ms: u64) -> Answer<'_, Hold> {
        self.ask(move |db| async move { leases::hold(&db, name, holder, ttl_ms).await })
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
        let asked = self.ask(move |db| async move { write::settle(&db, &advance).await });
        Box::pin(async move { asked.await? })
    }

    fn quarantined(&self, view: &'static str, limit: usize) -> Answer<'_, Vec<Quarantined>> {
        self.ask(move |db| async move { read::quarantined(&db, view, limit).await })
    }

    fn count_quarantined(&self, view: &'static str) -> Answer<'_, u64> {
        self.ask(move |db| async move { read::count_quarantined(&db, view).await })
    }
}

impl Repairs for MongoStore {
    fn replace(&self, replace: Replace) -> BoxFuture<'_, Result<(), ReplaceError>> {
        let asked = self.ask(move |db| async move { write::settle(&db, &replace).await });
        Box::pin(async move { asked.await? })
    }

    fn owners_with_keys(&self, after: Option<UserId>, limit: usize) -> Answer<'_, Vec<UserId>> {
        self.ask(move |db| async move { read::owners_with_keys(&db, after, limit).await })
    }
}

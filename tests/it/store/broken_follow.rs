//! What broken stores do to leases, followers and repairs.

use super::broken::{Answer, Broken, How};
use claviger_domain::id::UserId;
use claviger_projections::ports::{
    Advance, AdvanceError, Basis, BoxFuture, Checkpoint, Direction, Followers, HistoryFilter, Hold, Holder, LeaseName, Leases,
    Quarantined, Repairs, Replace, ReplaceError, ViewChanges,
};

/// More changes of hands than any case makes.
const TOKENS: u64 = 20;

impl Broken {
    async fn advance_wrongly(&self, mut advance: Advance) -> Result<(), AdvanceError> {
        if self.how == How::CheckpointWithoutRows {
            advance.changes = ViewChanges::default();
        }
        let answer = self.inner.advance(advance.clone()).await;
        match answer {
            Err(AdvanceError::Moved { at }) if self.how == How::AdvanceTwice => {
                self.inner.advance(Advance { from: at, ..advance }).await
            }
            Err(AdvanceError::Fenced) if self.how == How::Unfenced => {
                for token in 1..TOKENS {
                    advance.fence.token = token;
                    if self.inner.advance(advance.clone()).await.is_ok() {
                        return Ok(());
                    }
                }
                answer
            }
            answer => answer,
        }
    }

    async fn replace_wrongly(&self, mut replace: Replace) -> Result<(), ReplaceError> {
        if self.how == How::RepairFromOldEvents
            && let Basis::Inline { last } = &mut replace.basis
        {
            let events = self.inner.history(replace.owner, HistoryFilter::default(), Direction::Backward, 1).await?;
            *last = events.first().map_or(0, |event| event.envelope.position);
        }
        self.inner.replace(replace).await
    }
}

impl Leases for Broken {
    fn hold(&self, name: LeaseName, holder: Holder, ttl_ms: u64) -> Answer<'_, Hold> {
        Box::pin(async move {
            let held = self.inner.hold(name, holder, ttl_ms).await?;
            Ok(if self.how == How::LeaseForAll { Hold::Ours { token: 1 } } else { held })
        })
    }

    fn release(&self, name: LeaseName, holder: Holder) -> Answer<'_, bool> {
        self.inner.release(name, holder)
    }
}

impl Followers for Broken {
    fn checkpoint(&self, view: &'static str) -> Answer<'_, Checkpoint> {
        self.inner.checkpoint(view)
    }

    fn advance(&self, advance: Advance) -> BoxFuture<'_, Result<(), AdvanceError>> {
        Box::pin(self.advance_wrongly(advance))
    }

    fn quarantined(&self, view: &'static str, limit: usize) -> Answer<'_, Vec<Quarantined>> {
        self.inner.quarantined(view, limit)
    }

    fn count_quarantined(&self, view: &'static str) -> Answer<'_, u64> {
        self.inner.count_quarantined(view)
    }
}

impl Repairs for Broken {
    fn replace(&self, replace: Replace) -> BoxFuture<'_, Result<(), ReplaceError>> {
        Box::pin(self.replace_wrongly(replace))
    }

    fn owners_with_keys(&self, after: Option<UserId>, limit: usize) -> Answer<'_, Vec<UserId>> {
        self.inner.owners_with_keys(after, limit)
    }
}

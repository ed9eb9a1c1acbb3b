//! What broken stores do to leases, followers and repairs.

use super::broken::Broken;
use super::how::How;
use claviger_projections::ports::{
    Advance, AdvanceError, Basis, Direction, HistoryFilter, Replace, ReplaceError, ViewChanges,
};

/// More changes of hands than any case makes.
const TOKENS: u64 = 20;

impl Broken {
    pub(super) async fn advance_wrongly(&self, mut advance: Advance) -> Result<(), AdvanceError> {
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

    pub(super) async fn replace_wrongly(&self, mut replace: Replace) -> Result<(), ReplaceError> {
        if self.how == How::RepairFromOldEvents
            && let Basis::Inline { last } = &mut replace.basis
        {
            let events = self
                .inner
                .history(replace.owner, HistoryFilter::default(), Direction::Backward, 1)
                .await?;
            *last = events.first().map_or(0, |event| event.envelope.position);
        }
        self.inner.replace(replace).await
    }
}

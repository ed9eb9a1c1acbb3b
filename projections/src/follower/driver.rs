//! Moves a view along the log, step by step. All progress is in the store: if a follower is
//! dropped, killed or fenced between two steps, its successor continues from the view as it is.

use super::fold::{FollowedView, Rows, fold, touched};
use crate::ports::{Advance, AdvanceError, Checkpoint, Fence, Quarantined, Store, StoreError};
use claviger_domain::id::UserId;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Maximum number of events per step.
pub const BATCH: usize = 500;

/// Number of attempts at an event that cannot be folded before its row is quarantined.
pub const PATIENCE: u32 = 3;

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There are no new events.
    Idle,
    /// The view has moved.
    Advanced {
        /// The new position.
        to: u64,
        /// Rows that are quarantined from here on.
        quarantined: Vec<Quarantined>,
    },
    /// An event cannot be folded; it will be retried.
    Stuck(Quarantined),
    /// Another process moved or repaired the view: the next step reads the checkpoint again.
    Moved,
    /// The lease has changed holders: no further step of this follower will change anything.
    Fenced,
}

/// The checkpoint and the quarantined rows when last read.
struct Seen {
    at: Checkpoint,
    still: BTreeSet<(UserId, Uuid)>,
}

/// The follower of one view, for the lifetime of one lease token.
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct Follower {
    store: Arc<dyn Store>,
    view: Arc<dyn FollowedView>,
    fence: Fence,
    seen: Option<Seen>,
    /// The event that could not be folded last, and the number of attempts.
    tried: Option<(u64, u32)>,
}

impl Follower {
    /// A follower that writes under a fence.
    pub fn new(store: Arc<dyn Store>, view: Arc<dyn FollowedView>, fence: Fence) -> Self {
        Self { store, view, fence, seen: None, tried: None }
    }

    /// Folds at most [`BATCH`] events.
    ///
    /// # Errors
    /// When the store fails. The step may have been committed, so the next one reads the checkpoint
    /// again.
    pub async fn step(&mut self) -> Result<Step, StoreError> {
        let stepped = self.try_step().await;
        if !matches!(stepped, Ok(Step::Idle | Step::Advanced { .. })) {
            self.seen = None;
        }
        stepped
    }

    async fn try_step(&mut self) -> Result<Step, StoreError> {
        let Seen { at, still } = match self.seen.take() {
            Some(seen) => seen,
            None => self.look().await?,
        };
        let events = self.store.read(at.position, BATCH).await?;
        let mut rows = Rows::new();
        for place in touched(&*self.view, &events).difference(&still) {
            if let Some(row) = self.store.row(self.view.name(), place.0, place.1).await? {
                rows.insert(*place, row);
            }
        }
        let before = self.tried;
        let given_up =
            |position| before.is_some_and(|(at, tries)| at == position && tries >= PATIENCE);
        let folded = fold(&*self.view, &events, &rows, &still, &given_up);
        if let Some(poison) = folded.poison {
            let tries = before
                .filter(|(position, _)| *position == poison.position)
                .map_or(0, |(_, tries)| tries);
            self.tried = Some((poison.position, tries + 1));
        }
        let Some(to) = folded.to else {
            self.seen = Some(Seen { at, still });
            return Ok(folded.poison.map_or(Step::Idle, Step::Stuck));
        };
        let quarantined = folded.changes.quarantined.clone();
        let wiped = folded.changes.wiped.clone();
        let advance = Advance {
            view: self.view.name(),
            from: at,
            to,
            fence: self.fence,
            changes: folded.changes,
        };
        match self.store.advance(advance).await {
            Ok(()) => {}
            Err(AdvanceError::Moved { .. }) => return Ok(Step::Moved),
            Err(AdvanceError::Fenced) => return Ok(Step::Fenced),
            Err(AdvanceError::Store(error)) => return Err(error),
        }
        let mut still = still;
        still.retain(|(owner, _)| !wiped.contains(owner));
        still.extend(quarantined.iter().map(|row| (row.owner, row.id)));
        self.seen = Some(Seen { at: Checkpoint { position: to, ..at }, still });
        Ok(Step::Advanced { to, quarantined })
    }

    async fn look(&self) -> Result<Seen, StoreError> {
        let view = self.view.name();
        // The checkpoint is read first: a row that is quarantined after that has moved the
        // checkpoint, so the step will be refused.
        let at = self.store.checkpoint(view).await?;
        // Without a checkpoint the view is a new one, unless it has rows: folding the log into those
        // again would count everything twice.
        if at == Checkpoint::default()
            && !self.store.owners(view, None, 1).await?.is_empty()
            && self.store.checkpoint(view).await? == at
        {
            return Err(StoreError::Corrupt(format!(
                "the view {view} has rows and no checkpoint: run `claviger replay {view}`"
            )));
        }
        let still = self.store.quarantined(view, usize::MAX).await?;
        Ok(Seen { at, still: still.iter().map(|row| (row.owner, row.id)).collect() })
    }
}

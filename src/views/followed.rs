//! Followed views, folded again from the log. Their follower keeps running meanwhile, in this
//! process or another. The checkpoint counts repairs, so a follower's step that read rows before a
//! repair is refused and repeated.

use super::check::{Checked, Expected, MOST_TRIES, check, unsettled};
use super::registry::View;
use crate::system::failure::store_failure;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_projections::follower::{FollowedView, Rows, Touch, fold, touched};
use claviger_projections::ports::{
    Basis, Checkpoint, Direction, HistoryFilter, Quarantined, Replace, Store, StoredEvent, ViewRow,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// Events read at a time.
const BATCH: usize = 500;

/// A followed view as the log folds to it, with the rows that an event quarantines.
pub(super) struct FollowedState {
    view: Arc<dyn FollowedView>,
    rows: Rows,
    quarantined: BTreeMap<(UserId, Uuid), Quarantined>,
}

impl FollowedState {
    /// The view before the first event.
    pub(super) fn new(view: Arc<dyn FollowedView>) -> Self {
        Self { view, rows: Rows::new(), quarantined: BTreeMap::new() }
    }

    /// Folds the next events. An event that cannot be applied quarantines its row at once: the
    /// follower does the same after a few tries.
    pub(super) fn take(&mut self, events: &[StoredEvent]) {
        let mut before = Rows::new();
        for place in touched(&*self.view, events) {
            if let Some(row) = self.rows.get(&place) {
                before.insert(place, row.clone());
            }
        }
        let held: BTreeSet<_> = self.quarantined.keys().copied().collect();
        let folded = fold(&*self.view, events, &before, &held, &|_| true);
        folded.changes.apply(&mut self.rows, &mut self.quarantined);
    }

    pub(super) fn row(&self, owner: UserId, id: Uuid) -> Option<&ViewRow> {
        self.rows.get(&(owner, id))
    }

    pub(super) fn rows_of(&self, owner: UserId) -> impl Iterator<Item = &ViewRow> {
        self.rows.range((owner, Uuid::nil())..=(owner, Uuid::max())).map(|(_, row)| row)
    }

    pub(super) fn quarantined_of(&self, owner: UserId) -> impl Iterator<Item = &Quarantined> {
        self.quarantined.range((owner, Uuid::nil())..=(owner, Uuid::max())).map(|(_, row)| row)
    }

    /// Owners that have rows or quarantined rows.
    pub(super) fn owners(&self) -> impl Iterator<Item = UserId> {
        self.rows.keys().chain(self.quarantined.keys()).map(|(owner, _)| *owner)
    }
}

/// One owner's part of a followed view, folded from the owner's history.
pub(super) struct FollowedHistory<'a> {
    view: &'a View,
    store: &'a dyn Store,
    owner: UserId,
    state: FollowedState,
    /// Position up to which the owner's events are folded.
    folded_to: u64,
}

impl<'a> FollowedHistory<'a> {
    /// Nothing is folded yet.
    pub(super) fn new(
        (view, followed): (&'a View, Arc<dyn FollowedView>),
        store: &'a dyn Store,
        owner: UserId,
    ) -> Self {
        Self { view, store, owner, state: FollowedState::new(followed), folded_to: 0 }
    }

    pub(super) const fn store(&self) -> &'a dyn Store {
        self.store
    }

    pub(super) const fn owner(&self) -> UserId {
        self.owner
    }

    /// Compares at a checkpoint, which lags behind the log. If the view advanced for this owner or
    /// was repaired meanwhile, the new events are folded and the rows are compared again.
    pub(super) async fn compare(&mut self) -> Result<(Checkpoint, Checked), Failure> {
        for _ in 0..MOST_TRIES {
            let before = self.checkpoint().await?;
            self.fold_to(before.position).await?;
            let held = self.store.quarantined(self.view.name(), usize::MAX).await;
            let held = held.map_err(|error| store_failure(&error))?;
            let expected = Expected::Followed { state: &self.state, held: &held };
            let checked = check(self.store, self.view, self.owner, expected).await?;
            let at = self.checkpoint().await?;
            let moved = !self.events(before.position, at.position, 1).await?.is_empty();
            if moved || at.repairs != before.repairs {
                continue;
            }
            if !checked.agrees() && self.is_wiped_above(at.position).await? {
                return Ok((at, checked.excused()));
            }
            return Ok((at, checked));
        }
        Err(unsettled(self.owner))
    }

    /// The rows that the view should have at this checkpoint.
    pub(super) fn replacement(&self, at: Checkpoint) -> Replace {
        Replace {
            view: self.view.name(),
            owner: self.owner,
            basis: Basis::Followed { position: at.position },
            rows: self.state.rows_of(self.owner).cloned().collect(),
            defaults: None,
            quarantined: self.state.quarantined_of(self.owner).copied().collect(),
        }
    }

    async fn checkpoint(&self) -> Result<Checkpoint, Failure> {
        self.store.checkpoint(self.view.name()).await.map_err(|error| store_failure(&error))
    }

    async fn fold_to(&mut self, position: u64) -> Result<(), Failure> {
        loop {
            let events = self.events(self.folded_to, position, BATCH).await?;
            self.state.take(&events);
            match events.last() {
                Some(event) if events.len() == BATCH => self.folded_to = event.envelope.position,
                Some(_) | None => break,
            }
        }
        self.folded_to = self.folded_to.max(position);
        Ok(())
    }

    /// Whether the owner is erased by an event that the follower has not reached. An erasure
    /// deletes the rows of every view in its own transaction, and the follower deletes those that
    /// it writes until it reaches the event: until then any rows are right.
    async fn is_wiped_above(&self, position: u64) -> Result<bool, Failure> {
        let mut above = position;
        loop {
            let events = self.events(above, u64::MAX, BATCH).await?;
            let wipes = |event| self.state.view.touch(event) == Touch::Owner(self.owner);
            if events.iter().any(wipes) {
                return Ok(true);
            }
            match events.last() {
                Some(event) if events.len() == BATCH => above = event.envelope.position,
                Some(_) | None => return Ok(false),
            }
        }
    }

    async fn events(
        &self,
        above: u64,
        upto: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, Failure> {
        if above >= upto {
            return Ok(Vec::new());
        }
        let filter = HistoryFilter {
            above: Some(above),
            below: upto.checked_add(1),
            ..HistoryFilter::default()
        };
        self.store
            .history(self.owner, filter, Direction::Forward, limit)
            .await
            .map_err(|error| store_failure(&error))
    }
}

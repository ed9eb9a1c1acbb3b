//! Folds a batch of events into the changes of a view. Every function depends only on its input.

use crate::ports::{PoisonReason, Quarantined, StoredEvent, ViewChanges, ViewRow};
use claviger_domain::id::UserId;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The rows of a view that an event concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// No row.
    Nothing,
    /// One row, if the event can be folded at all.
    Row(UserId, Uuid),
    /// All rows of an owner are deleted.
    Owner(UserId),
}

/// A view that is written after its events.
pub trait FollowedView: Send + Sync {
    /// Name of the view.
    fn name(&self) -> &'static str;

    /// The rows that an event concerns.
    fn touch(&self, event: &StoredEvent) -> Touch;

    /// The row after an event that concerns it; `None` for no row.
    ///
    /// # Errors
    /// Why the event cannot be folded.
    fn fold(
        &self,
        before: Option<&ViewRow>,
        event: &StoredEvent,
    ) -> Result<Option<ViewRow>, PoisonReason>;
}

impl ViewChanges {
    /// Applies these changes to the rows and to the quarantined rows.
    pub fn apply(&self, rows: &mut Rows, still: &mut BTreeMap<(UserId, Uuid), Quarantined>) {
        // Wipes are rare, and `verify` applies batches to the rows of all owners.
        if !self.wiped.is_empty() {
            rows.retain(|(owner, _), _| !self.wiped.contains(owner));
            still.retain(|(owner, _), _| !self.wiped.contains(owner));
        }
        for place in &self.deleted {
            rows.remove(place);
        }
        rows.extend(self.put.iter().map(|row| ((row.owner, row.id), row.clone())));
        still.extend(self.quarantined.iter().map(|row| ((row.owner, row.id), *row)));
    }
}

/// Rows by owner and id.
pub type Rows = BTreeMap<(UserId, Uuid), ViewRow>;

/// The rows that events concern.
pub fn touched(view: &dyn FollowedView, events: &[StoredEvent]) -> BTreeSet<(UserId, Uuid)> {
    let row = |event| match view.touch(event) {
        Touch::Row(owner, id) => Some((owner, id)),
        Touch::Nothing | Touch::Owner(_) => None,
    };
    events.iter().filter_map(row).collect()
}

/// The outcome of folding a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Every event up to this position is folded; `None` if none is.
    pub to: Option<u64>,
    /// The changes of the view.
    pub changes: ViewChanges,
    /// The next event, which cannot be folded, if the fold stopped there.
    pub poison: Option<Quarantined>,
}

/// Folds events into rows. Skips rows that are quarantined (`still`). The fold stops at an event
/// that cannot be folded, unless its position was given up: then its row is quarantined from here
/// on, and the fold continues with the other events.
pub fn fold(
    view: &dyn FollowedView,
    events: &[StoredEvent],
    before: &Rows,
    still: &BTreeSet<(UserId, Uuid)>,
    given_up: &dyn Fn(u64) -> bool,
) -> Folded {
    let (mut rows, mut still) = (before.clone(), still.clone());
    let mut changed = BTreeSet::new();
    let mut folded = Folded::default();
    for event in events {
        let position = event.envelope.position;
        match view.touch(event) {
            Touch::Nothing => {}
            Touch::Owner(owner) => {
                rows.retain(|(of, _), _| *of != owner);
                still.retain(|(of, _)| *of != owner);
                changed.retain(|(of, _)| *of != owner);
                folded.changes.quarantined.retain(|row| row.owner != owner);
                folded.changes.wiped.push(owner);
            }
            Touch::Row(owner, id) if still.contains(&(owner, id)) => {}
            Touch::Row(owner, id) => match view.fold(rows.get(&(owner, id)), event) {
                Ok(after) => {
                    match after {
                        Some(row) => drop(rows.insert((owner, id), row)),
                        None => drop(rows.remove(&(owner, id))),
                    }
                    changed.insert((owner, id));
                }
                Err(reason) => {
                    let poison = Quarantined { owner, id, position, reason };
                    if !given_up(position) {
                        folded.poison = Some(poison);
                        break;
                    }
                    folded.changes.quarantined.push(poison);
                    still.insert((owner, id));
                }
            },
        }
        folded.to = Some(position);
    }
    for place in changed {
        match (rows.remove(&place), before.get(&place)) {
            (Some(row), old) if old != Some(&row) => folded.changes.put.push(row),
            (None, Some(_)) => folded.changes.deleted.push(place),
            (Some(_) | None, _) => {}
        }
    }
    folded
}

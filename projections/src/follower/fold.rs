//! From a batch of events to the changes of a view: functions of their input.

use crate::ports::{PoisonReason, Quarantined, StoredEvent, ViewChanges, ViewRow};
use claviger_domain::id::UserId;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What an event is about in a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Nothing.
    Nothing,
    /// One row, if it can be folded at all.
    Row(UserId, Uuid),
    /// All rows of an owner go.
    Owner(UserId),
}

/// A view that is written after its events.
pub trait FollowedView: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What an event is about.
    fn touch(&self, event: &StoredEvent) -> Touch;

    /// The row after an event about it; `None` for no row.
    ///
    /// # Errors
    /// Why the event can't be taken in.
    fn fold(
        &self,
        before: Option<&ViewRow>,
        event: &StoredEvent,
    ) -> Result<Option<ViewRow>, PoisonReason>;
}

impl ViewChanges {
    /// What rows, and those that stand still, become by these changes.
    pub fn apply(&self, rows: &mut Rows, still: &mut BTreeMap<(UserId, Uuid), Quarantined>) {
        rows.retain(|(owner, _), _| !self.wiped.contains(owner));
        still.retain(|(owner, _), _| !self.wiped.contains(owner));
        for place in &self.deleted {
            rows.remove(place);
        }
        rows.extend(self.put.iter().map(|row| ((row.owner, row.id), row.clone())));
        still.extend(self.quarantined.iter().map(|row| ((row.owner, row.id), *row)));
    }
}

/// Rows by owner and id.
pub type Rows = BTreeMap<(UserId, Uuid), ViewRow>;

/// The rows that events are about.
pub fn touched(view: &dyn FollowedView, events: &[StoredEvent]) -> BTreeSet<(UserId, Uuid)> {
    let row = |event| match view.touch(event) {
        Touch::Row(owner, id) => Some((owner, id)),
        Touch::Nothing | Touch::Owner(_) => None,
    };
    events.iter().filter_map(row).collect()
}

/// What a batch came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Everything up to this position is taken in; `None` if that is nothing.
    pub to: Option<u64>,
    /// What that changes.
    pub changes: ViewChanges,
    /// The event behind it that can't be taken in, where the fold stopped.
    pub poison: Option<Quarantined>,
}

/// Folds events into rows. Rows that stand still (`still`) are passed over. At an event that can't be taken in the fold stops, unless its
/// position was given up: then its row stands still from here on, and everything else goes on.
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

//! Asynchronous views. Their follower keeps running meanwhile, in this process or another. The
//! checkpoint counts repairs, so a follower's step that read rows before a repair is refused and
//! repeated.

use super::inline::{BATCH, rows_of};
use crate::system::failure::store_failure;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_projections::follower::{FollowedView, Rows, fold};
use claviger_projections::ports::{
    Basis, Checkpoint, Direction, HistoryFilter, Quarantined, Replace, Store, StoredEvent, ViewRow,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// An owner's rows in a view at a checkpoint, and the rows it should have.
pub(super) struct Compared {
    at: Checkpoint,
    rows: Rows,
    still: BTreeMap<(UserId, Uuid), Quarantined>,
    /// The view agrees with the log.
    pub(super) agrees: bool,
}

/// Compares; `None` if the view advanced for this owner meanwhile.
pub(super) async fn compare(
    store: &Arc<dyn Store>,
    view: &dyn FollowedView,
    owner: UserId,
) -> Result<Option<Compared>, Failure> {
    let failed = |error| store_failure(&error);
    let before = store.checkpoint(view.name()).await.map_err(failed)?;
    let stored = rows_of(&**store, view.name(), owner).await?;
    let held = store.quarantined(view.name(), usize::MAX).await.map_err(failed)?;
    let at = store.checkpoint(view.name()).await.map_err(failed)?;
    let (mut rows, mut still, mut last) = (Rows::new(), BTreeMap::new(), 0);
    loop {
        let events = events_of(&**store, owner, last, at.position).await?;
        let places: BTreeSet<_> = still.keys().copied().collect();
        let folded = fold(view, &events, &rows, &places, &|_| true);
        folded.changes.apply(&mut rows, &mut still);
        last = events.last().map_or(last, |event| event.envelope.position);
        if events.len() < BATCH {
            break;
        }
    }
    if at.repairs != before.repairs || last > before.position {
        return Ok(None);
    }
    let mut stored: Vec<ViewRow> = stored;
    stored.sort_by_key(|row| row.id);
    let same_rows = stored.iter().eq(rows.values());
    let same_still = held.iter().filter(|row| row.owner == owner).eq(still.values());
    Ok(Some(Compared { at, rows, still, agrees: same_rows && same_still }))
}

impl Compared {
    /// The rows the view should have.
    pub(super) fn replacement(self, view: &'static str, owner: UserId) -> Replace {
        let basis = Basis::Followed { position: self.at.position };
        let (rows, quarantined) =
            (self.rows.into_values().collect(), self.still.into_values().collect());
        Replace { view, owner, basis, rows, defaults: None, quarantined }
    }
}

async fn events_of(
    store: &dyn Store,
    owner: UserId,
    above: u64,
    upto: u64,
) -> Result<Vec<StoredEvent>, Failure> {
    let filter = HistoryFilter {
        above: Some(above),
        below: Some(upto.saturating_add(1)),
        ..HistoryFilter::default()
    };
    store
        .history(owner, filter, Direction::Forward, BATCH)
        .await
        .map_err(|error| store_failure(&error))
}

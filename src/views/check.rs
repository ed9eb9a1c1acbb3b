//! Compares an owner's stored rows with the rows that the log folds to. This is the one comparer:
//! `verify` and `replay` differ only in how they fold. `verify` folds all owners in its single pass
//! over the log; a fold of each owner's history for each view would make it read the log once more
//! per view. `replay` folds one owner at a time, because commands continue meanwhile and only the
//! compared owner must have no new events.

use super::content_keys::ContentKeys;
use super::followed::FollowedState;
use super::inline::InlineView;
use super::owner_state::OwnerState;
use super::registry::View;
use crate::system::failure::store_failure;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_projections::ports::{Page, Quarantined, Store, ViewRow};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Rows read at a time.
const BATCH: usize = 1000;

/// How often an owner is compared again because of concurrent events.
pub(super) const MOST_TRIES: usize = 1000;

/// The rows that an owner should have in a view.
pub(super) enum Expected<'a> {
    Inline {
        view: &'static dyn InlineView,
        state: &'a OwnerState,
        keys: &'a mut ContentKeys,
    },
    /// `held` are the view's quarantined rows, of all owners.
    Followed {
        state: &'a FollowedState,
        held: &'a [Quarantined],
    },
}

impl Expected<'_> {
    fn ids(&self, owner: UserId) -> BTreeSet<Uuid> {
        match self {
            Self::Inline { view, state, .. } => view.ids(state),
            Self::Followed { state, .. } => state.rows_of(owner).map(|row| row.id).collect(),
        }
    }

    async fn agrees(&mut self, row: &ViewRow) -> Result<bool, Failure> {
        match self {
            Self::Inline { view, state, keys } => {
                let stream = view.stream(row.owner, row.id);
                if row.stream != stream {
                    return Ok(false);
                }
                let is_sealed = view.has_content() && row.content.is_some();
                let key = if is_sealed { keys.get(row.owner, stream).await? } else { None };
                let agrees = view.agrees(state, row, key);
                keys.forget_run(stream);
                Ok(agrees)
            }
            Self::Followed { state, .. } => Ok(state.row(row.owner, row.id) == Some(row)),
        }
    }
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Number of rows that the owner has.
    pub(crate) rows: u64,
    /// Ids of rows that are missing, different, or should not exist.
    differing: BTreeSet<Uuid>,
    defaults_differ: bool,
    quarantine_differs: bool,
}

impl Checked {
    /// The same rows, without problems.
    pub(super) fn excused(self) -> Self {
        Self { rows: self.rows, ..Self::default() }
    }

    pub(crate) fn agrees(&self) -> bool {
        self.differing.is_empty() && !self.defaults_differ && !self.quarantine_differs
    }

    /// A sentence per difference.
    pub(crate) fn problems(&self, view: &View, owner: UserId) -> Vec<String> {
        let row =
            |id: &Uuid| format!("the {} {id} in the view does not agree with the log", view.row());
        let mut problems: Vec<String> = self.differing.iter().map(row).collect();
        if self.defaults_differ {
            problems.push(format!("the defaults of {owner} in the view do not agree with the log"));
        }
        if self.quarantine_differs {
            problems.push(format!(
                "the quarantined rows of {owner} in the view {} do not agree with the log",
                view.name()
            ));
        }
        problems
    }
}

/// Compares all rows of an owner, with the owner's defaults or quarantined rows where the view has
/// them. Rows are read in pages, and the key of a run is kept only while its row is compared.
///
/// # Errors
/// When the store is unavailable or a content key does not open.
pub(super) async fn check(
    store: &dyn Store,
    view: &View,
    owner: UserId,
    mut expected: Expected<'_>,
) -> Result<Checked, Failure> {
    let mut checked = Checked::default();
    let mut missing = expected.ids(owner);
    let mut page = Page { limit: BATCH, ..Page::default() };
    loop {
        let found =
            store.page(view.name(), owner, page).await.map_err(|error| store_failure(&error))?;
        page.after = found.rows.last().map(|row| (row.sort, row.id));
        for row in &found.rows {
            checked.rows += 1;
            let is_expected = missing.remove(&row.id);
            if !is_expected || !expected.agrees(row).await? {
                checked.differing.insert(row.id);
            }
        }
        if !found.more {
            break;
        }
    }
    checked.differing.append(&mut missing);
    match expected {
        Expected::Inline { view, state, .. } => {
            if let Some(expected) = view.defaults(state) {
                let stored = store.defaults(owner).await.map_err(|error| store_failure(&error))?;
                checked.defaults_differ = !stored.into_iter().eq(expected);
            }
        }
        Expected::Followed { state, held } => {
            let held = held.iter().filter(|row| row.owner == owner);
            checked.quarantine_differs = !held.eq(state.quarantined_of(owner));
        }
    }
    Ok(checked)
}

pub(super) fn unsettled(owner: UserId) -> Failure {
    tracing::error!(
        %owner,
        tries = MOST_TRIES,
        "events of this owner arrive faster than they can be read"
    );
    Failure::internal()
}

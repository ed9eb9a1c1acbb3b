//! All owners' views, folded in one pass over the log and then compared with the stored rows.

use super::check::{Checked, Expected, check};
use super::content_keys::ContentKeys;
use super::followed::{FollowedHistory, FollowedState};
use super::inline::InlineView;
use super::owner_state::{OwnerState, Taken};
use super::registry::{ALL, Kind, View};
use crate::keychain::Keychain;
use crate::system::failure::store_failure;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_projections::follower::FollowedView;
use claviger_projections::ports::{Store, StoreError, StoredEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Owners read at a time.
const OWNERS: usize = 1000;

/// A followed view, folded up to its checkpoint.
struct Followed {
    view: &'static View,
    make: fn() -> Arc<dyn FollowedView>,
    /// The checkpoint's position before the log was read.
    upto: u64,
    state: FollowedState,
}

/// Every owner's state, folded from the log.
pub(crate) struct WholeLog {
    store: Arc<dyn Store>,
    keys: ContentKeys,
    owners: BTreeMap<UserId, OwnerState>,
    followed: Vec<Followed>,
}

/// Receives the result of each owner of a view; a failure only for an owner whose keys don't open.
pub(crate) type Found<'a> = &'a mut (dyn FnMut(UserId, Result<Checked, Failure>) + Send);

impl WholeLog {
    /// Nothing is folded yet.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(crate) async fn new(
        store: Arc<dyn Store>,
        keychain: Arc<Keychain>,
    ) -> Result<Self, Failure> {
        let mut followed = Vec::new();
        for view in ALL {
            if let Kind::Followed(make) = view.kind {
                let upto = match store.checkpoint(view.name()).await {
                    Ok(at) => at.position,
                    // All its rows will differ, and the audit of the tables names the row.
                    Err(StoreError::Corrupt(_) | StoreError::Gap { .. }) => 0,
                    Err(error @ (StoreError::Unavailable(_) | StoreError::Closed)) => {
                        return Err(store_failure(&error));
                    }
                };
                followed.push(Followed { view, make, upto, state: FollowedState::new(make()) });
            }
        }
        let (keys, owners) = (ContentKeys::new(keychain), BTreeMap::new());
        Ok(Self { store, keys, owners, followed })
    }

    /// The keys that open the content of events. They are kept for the rows.
    pub(crate) const fn keys(&mut self) -> &mut ContentKeys {
        &mut self.keys
    }

    /// Folds an event of an owner into the inline views.
    ///
    /// # Errors
    /// When the event cannot be decoded.
    pub(crate) fn take(
        &mut self,
        owner: UserId,
        event: &StoredEvent,
        content: Option<&[u8]>,
    ) -> Result<Taken, Failure> {
        self.owners.entry(owner).or_insert_with(|| OwnerState::new(owner)).take(event, content)
    }

    /// Folds the next events of the log into the followed views.
    pub(crate) fn follow(&mut self, events: &[StoredEvent]) {
        for Followed { upto, state, .. } in &mut self.followed {
            let count = events.partition_point(|event| event.envelope.position <= *upto);
            state.take(events.get(..count).unwrap_or_default());
        }
    }

    /// Number of accounts, erased ones included.
    pub(crate) fn accounts(&self) -> u64 {
        self.owners.values().filter(|state| state.account().is_some()).count() as u64
    }

    /// Compares a view for every owner that is in the view or in the log.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(crate) async fn check(&mut self, view: &View, found: Found<'_>) -> Result<(), Failure> {
        match view.kind {
            Kind::Inline(inline) => self.check_inline(view, inline, found).await,
            Kind::Followed(_) => self.check_followed(view, found).await,
        }
    }

    async fn check_inline(
        &mut self,
        view: &View,
        inline: &'static dyn InlineView,
        found: Found<'_>,
    ) -> Result<(), Failure> {
        let Self { store, keys, owners: states, .. } = self;
        let mut owners = owners_with_rows(&**store, view).await?;
        // Other owners have nothing to compare: leaving them out saves a query each.
        let expects =
            |state: &&OwnerState| inline.defaults(state).is_some() || !inline.ids(state).is_empty();
        owners.extend(states.values().filter(expects).map(OwnerState::owner));
        for owner in owners {
            let unknown = OwnerState::new(owner);
            let state = states.get(&owner).unwrap_or(&unknown);
            let expected = Expected::Inline { view: inline, state, keys: &mut *keys };
            report(owner, check(&**store, view, owner, expected).await, &mut *found)?;
        }
        Ok(())
    }

    /// The follower may have advanced since the log was read. So an owner whose rows differ is
    /// folded and compared again, as a replay does, before the difference counts.
    async fn check_followed(&self, view: &View, found: Found<'_>) -> Result<(), Failure> {
        let store = &*self.store;
        for Followed { make, state, .. } in self.followed.iter().filter(|of| of.view == view) {
            let held = store.quarantined(view.name(), usize::MAX).await;
            let held = held.map_err(|error| store_failure(&error))?;
            let mut owners = owners_with_rows(store, view).await?;
            owners.extend(state.owners().chain(held.iter().map(|row| row.owner)));
            for owner in owners {
                let expected = Expected::Followed { state, held: &held };
                let mut checked = check(store, view, owner, expected).await;
                if checked.as_ref().is_ok_and(|checked| !checked.agrees()) {
                    let mut history = FollowedHistory::new((view, make()), store, owner);
                    checked = history.compare().await.map(|(_, checked)| checked);
                }
                report(owner, checked, &mut *found)?;
            }
        }
        Ok(())
    }
}

fn report(
    owner: UserId,
    checked: Result<Checked, Failure>,
    found: Found<'_>,
) -> Result<(), Failure> {
    match checked {
        Err(failure) if failure.code == ErrorCode::StoreUnavailable => Err(failure),
        Ok(_) | Err(_) => {
            found(owner, checked);
            Ok(())
        }
    }
}

async fn owners_with_rows(store: &dyn Store, view: &View) -> Result<BTreeSet<UserId>, Failure> {
    let mut owners = BTreeSet::new();
    loop {
        let next = store.owners(view.name(), owners.last().copied(), OWNERS).await;
        let next = next.map_err(|error| store_failure(&error))?;
        let is_last = next.len() < OWNERS;
        owners.extend(next);
        if is_last {
            return Ok(owners);
        }
    }
}

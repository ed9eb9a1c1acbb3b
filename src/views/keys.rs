//! The view of keys: its rows, and what a key ring's events write in their transaction.

use super::inline::InlineView;
use super::owner_state::OwnerState;
use super::row::{open_row, row};
use crate::system::environment::Environment;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CommandId, ContextTag, KeyId, UserId};
use claviger_domain::key_ring::KeyRingEvent;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::keys::{KeyView, KeysView};
use claviger_projections::ports::{
    InlineViews, KEYS, Placed, RowChange, StoreError, TimerKind, TimerRow, ViewRow,
};
use claviger_vault::{ContentKey, ViewAd};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// How long after its own timeout a test counts as abandoned, in milliseconds.
const TEST_GRACE_MS: u64 = 5_000;

/// Keys and their defaults, folded from key rings. An erasure removes them.
pub(super) struct Keys;

impl InlineView for Keys {
    fn reads(&self, stream: StreamName) -> bool {
        match stream {
            StreamName::KeyRing(_) | StreamName::Account(_) => true,
            StreamName::Run(_) | StreamName::RunControl(_) | StreamName::System => false,
        }
    }

    fn stream(&self, owner: UserId, _: Uuid) -> StreamName {
        StreamName::KeyRing(owner)
    }

    fn ids(&self, state: &OwnerState) -> BTreeSet<Uuid> {
        state.ring().into_iter().flat_map(|ring| ring.keys().keys()).map(|id| id.0).collect()
    }

    fn agrees(&self, state: &OwnerState, row: &ViewRow, key: Option<&ContentKey>) -> bool {
        let should = state.ring().and_then(|ring| ring.keys().get(&KeyId(row.id)));
        should.is_some_and(|should| {
            row.sort == should.facts.created_at.0
                && row.content.is_some() == should.content.is_some()
                && open_key(row, key).as_ref().ok() == Some(should)
        })
    }

    fn encode(
        &self,
        state: &OwnerState,
        id: Uuid,
        key: Option<&ContentKey>,
        env: &Environment,
    ) -> Result<Option<ViewRow>, StoreError> {
        let view = state.ring().and_then(|ring| ring.keys().get(&KeyId(id)));
        view.map(|view| key_row(state.owner(), view, key, env)).transpose()
    }

    fn defaults(&self, state: &OwnerState) -> Option<BTreeMap<ContextTag, KeyId>> {
        Some(state.ring().map(KeysView::defaults).unwrap_or_default())
    }
}

/// Encodes a row of the view of keys.
fn key_row(
    owner: UserId,
    view: &KeyView,
    key: Option<&ContentKey>,
    env: &Environment,
) -> Result<ViewRow, StoreError> {
    let ad = ViewAd { owner, stream: StreamName::KeyRing(owner), view: KEYS, row: view.id.0 };
    row(&ad, view.facts.created_at, (&view.facts, view.content.as_ref()), key, env)
}

/// Opens a row of the view of keys.
pub(crate) fn open_key(row: &ViewRow, key: Option<&ContentKey>) -> Result<KeyView, Failure> {
    let (facts, content) = open_row(row, key)?;
    Ok(KeyView { id: KeyId(row.id), facts, content })
}

/// The rows that a key ring's events write.
pub(crate) struct KeyRingRows {
    /// The keys that the events affect, before the events.
    pub(crate) before: KeysView,
    pub(crate) events: Vec<KeyRingEvent>,
    pub(crate) owner: UserId,
    pub(crate) command: CommandId,
    pub(crate) key: Arc<ContentKey>,
    pub(crate) env: Environment,
}

impl InlineViews for KeyRingRows {
    fn rows(&self, placed: &[Placed]) -> Result<Vec<RowChange>, StoreError> {
        let mut view = self.before.clone();
        let mut rows = Vec::new();
        for (event, placed) in self.events.iter().zip(placed) {
            view.apply(event, placed);
            rows.extend(self.defaults_and_timers(event, placed));
        }
        for id in view.take_changed() {
            rows.push(match view.keys().get(&id) {
                Some(key) => {
                    RowChange::PutView(key_row(self.owner, key, Some(&self.key), &self.env)?)
                }
                None => RowChange::DeleteView { view: KEYS, owner: self.owner, id: id.0 },
            });
        }
        Ok(rows)
    }
}

impl KeyRingRows {
    fn defaults_and_timers(&self, event: &KeyRingEvent, placed: &Placed) -> Option<RowChange> {
        let owner = self.owner;
        if let KeyRingEvent::DefaultSet(facts, _) = event {
            return Some(RowChange::PutDefault { owner, tag: facts.context_tag, key: facts.key });
        }
        if let KeyRingEvent::DefaultCleared(facts, _) = event {
            return Some(RowChange::DeleteDefault { owner, tag: facts.context_tag });
        }
        key_timer(owner, self.command, (event, placed.at))
    }
}

/// The timer that an event of a key ring, appended by this command, puts or deletes.
pub(crate) fn key_timer(
    owner: UserId,
    command: CommandId,
    (event, at): (&KeyRingEvent, Timestamp),
) -> Option<RowChange> {
    let (kind, subject, due_at, command) = match event {
        KeyRingEvent::KeyAdded(facts, _) => {
            (TimerKind::KeyExpiry, facts.key.0, Some(facts.expires_at?), None)
        }
        KeyRingEvent::KeyExpirySet(facts) => {
            (TimerKind::KeyExpiry, facts.key.0, facts.expires_at, None)
        }
        KeyRingEvent::KeyExpired(facts) => (TimerKind::KeyExpiry, facts.key.0, None, None),
        KeyRingEvent::KeyDeleted(facts) => (TimerKind::KeyExpiry, facts.key.0, None, None),
        KeyRingEvent::KeyTestStarted(facts) => {
            let due_at = at.plus_ms(facts.timeout_ms + TEST_GRACE_MS);
            (TimerKind::KeyTest, facts.test.0, Some(due_at), Some(command))
        }
        KeyRingEvent::KeyTested(facts, _) => (TimerKind::KeyTest, facts.test.0, None, None),
        KeyRingEvent::DefaultSet(..)
        | KeyRingEvent::DefaultCleared(..)
        | KeyRingEvent::KeyRenamed(..)
        | KeyRingEvent::KeyActivated(_)
        | KeyRingEvent::KeyDeactivated(_)
        | KeyRingEvent::KeySecretReplaced(..) => return None,
    };
    Some(match due_at {
        Some(due_at) => RowChange::PutTimer(TimerRow { kind, owner, subject, command, due_at }),
        None => RowChange::DeleteTimer { kind, owner, subject },
    })
}

//! Rows that are written in the transaction of their events: views, defaults, timers, sessions.
//! They are functions of the events and of their placement in the log, because the times are known
//! only then.

use crate::system::environment::Environment;
use crate::system::failure::vault_failure;
use claviger_domain::account::AccountEvent;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CommandId, KeyId, UserId};
use claviger_domain::key_ring::KeyRingEvent;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::accounts::AccountView;
use claviger_projections::keys::{KeyView, KeysView};
use claviger_projections::ports::{
    ACCOUNTS, InlineViews, KEYS, Placed, RowChange, SessionRow, StoreError, TimerKind, TimerRow,
    ViewRow,
};
use claviger_vault::{ContentKey, VaultError, ViewAd, open_view, seal_view};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use uuid::Uuid;

/// How long after its own timeout a test counts as abandoned, in milliseconds.
const TEST_GRACE_MS: u64 = 5_000;

/// How long an unused session lives: thirty days.
pub(crate) const SESSION_MS: u64 = 30 * 24 * 3600 * 1000;

/// The view name under which a session's user agent is sealed.
pub(crate) const SESSIONS: &str = "sessions";

/// Encodes a view's row.
pub(super) fn row<F: Serialize, C: Serialize>(
    ad: &ViewAd<'static>,
    sort: Timestamp,
    (facts, content): (&F, Option<&C>),
    key: Option<&ContentKey>,
    env: &Environment,
) -> Result<ViewRow, StoreError> {
    let unwritable = |_| StoreError::Corrupt(format!("cannot encode a row of view {}", ad.view));
    let facts = serde_json::to_vec(facts).map_err(unwritable)?;
    let content = content
        .map(|content| -> Result<Vec<u8>, StoreError> {
            let json = serde_json::to_vec(content).map_err(unwritable)?;
            let key = key.ok_or_else(|| {
                StoreError::Corrupt("there is no key for the content of a row".to_owned())
            })?;
            seal_view(key, ad, &json, &*env.entropy).map_err(|error| unsealable(&error))
        })
        .transpose()?;
    Ok(ViewRow {
        view: ad.view,
        owner: ad.owner,
        id: ad.row,
        sort: sort.0,
        stream: ad.stream,
        facts,
        content,
    })
}

fn unsealable(error: &VaultError) -> StoreError {
    StoreError::Corrupt(format!("cannot seal the content of a row: {error}"))
}

/// Opens a view's row.
pub(super) fn open_row<F: DeserializeOwned, C: DeserializeOwned>(
    row: &ViewRow,
    key: Option<&ContentKey>,
) -> Result<(F, Option<C>), Failure> {
    let unreadable = |_| {
        tracing::error!(view = row.view, row = %row.id, "cannot read a view's row: run `claviger verify`");
        Failure::internal()
    };
    let facts = serde_json::from_slice(&row.facts).map_err(unreadable)?;
    let content = match (&row.content, key) {
        (Some(sealed), Some(key)) => {
            let ad = ViewAd { owner: row.owner, stream: row.stream, view: row.view, row: row.id };
            let json = open_view(key, &ad, sealed).map_err(|error| vault_failure(&error))?;
            Some(serde_json::from_slice(&json).map_err(unreadable)?)
        }
        _ => None,
    };
    Ok((facts, content))
}

/// Encodes a row of the view of keys.
pub(crate) fn key_row(
    owner: UserId,
    view: &KeyView,
    key: Option<&ContentKey>,
    env: &Environment,
) -> Result<ViewRow, StoreError> {
    let ad = ViewAd { owner, stream: StreamName::KeyRing(owner), view: KEYS, row: view.id.0 };
    row(&ad, view.facts.created_at, (&view.facts, view.content.as_ref()), key, env)
}

/// Encodes a row of the view of accounts.
pub(crate) fn account_row(
    owner: UserId,
    view: &AccountView,
    key: Option<&ContentKey>,
    env: &Environment,
) -> Result<ViewRow, StoreError> {
    let ad = ViewAd { owner, stream: StreamName::Account(owner), view: ACCOUNTS, row: owner.0 };
    row(&ad, view.facts.created_at, (&view.facts, view.content.as_ref()), key, env)
}

/// Opens a row of the view of keys.
pub(crate) fn open_key(row: &ViewRow, key: Option<&ContentKey>) -> Result<KeyView, Failure> {
    let (facts, content) = open_row(row, key)?;
    Ok(KeyView { id: KeyId(row.id), facts, content })
}

/// Opens a row of the view of accounts.
pub(crate) fn open_account(
    row: &ViewRow,
    key: Option<&ContentKey>,
) -> Result<AccountView, Failure> {
    let (facts, content) = open_row(row, key)?;
    Ok(AccountView { facts, content })
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
    fn timer(
        &self,
        kind: TimerKind,
        subject: Uuid,
        due_at: Option<Timestamp>,
        command: Option<CommandId>,
    ) -> RowChange {
        let owner = self.owner;
        match due_at {
            Some(due_at) => RowChange::PutTimer(TimerRow { kind, owner, subject, command, due_at }),
            None => RowChange::DeleteTimer { kind, owner, subject },
        }
    }

    fn defaults_and_timers(&self, event: &KeyRingEvent, placed: &Placed) -> Option<RowChange> {
        let owner = self.owner;
        Some(match event {
            KeyRingEvent::KeyAdded(facts, _) => {
                self.timer(TimerKind::KeyExpiry, facts.key.0, Some(facts.expires_at?), None)
            }
            KeyRingEvent::KeyExpirySet(facts) => {
                self.timer(TimerKind::KeyExpiry, facts.key.0, facts.expires_at, None)
            }
            KeyRingEvent::KeyExpired(facts) => {
                self.timer(TimerKind::KeyExpiry, facts.key.0, None, None)
            }
            KeyRingEvent::KeyDeleted(facts) => {
                self.timer(TimerKind::KeyExpiry, facts.key.0, None, None)
            }
            KeyRingEvent::KeyTestStarted(facts) => {
                let due_at = placed.at.plus_ms(facts.timeout_ms + TEST_GRACE_MS);
                self.timer(TimerKind::KeyTest, facts.test.0, Some(due_at), Some(self.command))
            }
            KeyRingEvent::KeyTested(facts, _) => {
                self.timer(TimerKind::KeyTest, facts.test.0, None, None)
            }
            KeyRingEvent::DefaultSet(facts, _) => {
                RowChange::PutDefault { owner, tag: facts.context_tag, key: facts.key }
            }
            KeyRingEvent::DefaultCleared(facts, _) => {
                RowChange::DeleteDefault { owner, tag: facts.context_tag }
            }
            KeyRingEvent::KeyRenamed(..)
            | KeyRingEvent::KeyActivated(_)
            | KeyRingEvent::KeyDeactivated(_)
            | KeyRingEvent::KeySecretReplaced(..) => return None,
        })
    }
}

/// The rows that an account's events write.
pub(crate) struct AccountRows {
    /// The account before the events.
    pub(crate) before: AccountView,
    pub(crate) events: Vec<AccountEvent>,
    pub(crate) owner: UserId,
    pub(crate) key: Arc<ContentKey>,
    pub(crate) env: Environment,
}

impl InlineViews for AccountRows {
    fn rows(&self, placed: &[Placed]) -> Result<Vec<RowChange>, StoreError> {
        let mut view = self.before.clone();
        let mut rows = Vec::new();
        for (event, placed) in self.events.iter().zip(placed) {
            view.apply(event, placed);
            rows.extend(self.sessions(event, placed)?);
        }
        if self.events.iter().any(|event| matches!(event, AccountEvent::AccountErased(_))) {
            // Only the account's existence is kept, so that its id is never reused.
            return Ok(vec![
                RowChange::EraseUser(self.owner),
                RowChange::PutView(self.account_row(&view)?),
            ]);
        }
        rows.push(RowChange::PutView(self.account_row(&view)?));
        Ok(rows)
    }
}

impl AccountRows {
    fn account_row(&self, view: &AccountView) -> Result<ViewRow, StoreError> {
        account_row(self.owner, view, Some(&self.key), &self.env)
    }

    fn sessions(
        &self,
        event: &AccountEvent,
        placed: &Placed,
    ) -> Result<Vec<RowChange>, StoreError> {
        Ok(match event {
            AccountEvent::SignedIn(facts, seen) => {
                let stream = StreamName::Account(self.owner);
                let ad = ViewAd { owner: self.owner, stream, view: SESSIONS, row: facts.session.0 };
                let agent = seen.as_ref().and_then(|seen| seen.user_agent.as_ref());
                let content = agent
                    .map(|agent| seal_view(&self.key, &ad, agent.as_bytes(), &*self.env.entropy))
                    .transpose()
                    .map_err(|error| unsealable(&error))?;
                vec![RowChange::PutSession(SessionRow {
                    id: facts.session,
                    owner: self.owner,
                    created_at: placed.at,
                    last_seen_at: placed.at,
                    expires_at: placed.at.plus_ms(SESSION_MS),
                    generation: 1,
                    rotated_at: placed.at,
                    content,
                })]
            }
            AccountEvent::SignedOut(facts) | AccountEvent::RefreshTokenReused(facts) => {
                vec![RowChange::DeleteSession(facts.session)]
            }
            AccountEvent::SessionsRevoked(facts) => {
                facts.sessions.iter().copied().map(RowChange::DeleteSession).collect()
            }
            AccountEvent::AccountRegistered(..)
            | AccountEvent::IdentityLinked(..)
            | AccountEvent::AccountRenamed(..)
            | AccountEvent::PasswordChanged(_)
            | AccountEvent::RoleGranted(_)
            | AccountEvent::RoleRevoked(_)
            | AccountEvent::AccountDeactivated(_)
            | AccountEvent::AccountReactivated(_)
            | AccountEvent::AccountErased(_) => Vec::new(),
        })
    }
}

/// Opens a session's user agent.
pub(crate) fn open_user_agent(
    session: &SessionRow,
    key: Option<&ContentKey>,
) -> Result<Option<String>, Failure> {
    let (Some(sealed), Some(key)) = (&session.content, key) else { return Ok(None) };
    let ad = ViewAd {
        owner: session.owner,
        stream: StreamName::Account(session.owner),
        view: SESSIONS,
        row: session.id.0,
    };
    let text = open_view(key, &ad, sealed).map_err(|error| vault_failure(&error))?;
    Ok(String::from_utf8(text.to_vec()).ok())
}

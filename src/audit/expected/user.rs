//! What must be stored of a user.

use crate::keychain::Keychain;
use crate::views::key_timer;
use claviger_domain::account::{Account, AccountEvent};
use claviger_domain::id::{CommandId, SessionId, UserId};
use claviger_domain::key_ring::{KeyRing, KeyRingEvent};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{ClaimKind, RowChange, TimerKind};
use cqrs_es::Aggregate as _;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How a session began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Began {
    pub(crate) at: Timestamp,
    pub(crate) position: u64,
    /// The user agent; `None` if the event's content could not be opened.
    #[expect(clippy::option_option, reason = "unknown, none, or a text")]
    pub(crate) user_agent: Option<Option<String>>,
}

/// A timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The command that it closes.
    pub(crate) command: Option<CommandId>,
    pub(crate) at: Timestamp,
    /// Its row was found.
    pub(crate) is_there: bool,
}

#[derive(Default)]
pub(crate) struct User {
    pub(crate) account: Account,
    pub(crate) ring: KeyRing,
    /// Hashes of the user's names; `None` if the event with the names could not be opened.
    pub(crate) names: Option<Vec<(ClaimKind, [u8; 32])>>,
    pub(crate) sessions: BTreeMap<SessionId, Began>,
    pub(crate) timers: BTreeMap<(TimerKind, Uuid), Due>,
    /// Something that the first user key could open was destroyed.
    pub(crate) is_worn: bool,
}

impl User {
    pub(super) fn key_event(
        &mut self,
        owner: UserId,
        event: KeyRingEvent,
        (command, at): (CommandId, Timestamp),
    ) {
        match key_timer(owner, command, (&event, at)) {
            Some(RowChange::PutTimer(timer)) => {
                let due = Due { command: timer.command, at: timer.due_at, is_there: false };
                self.timers.insert((timer.kind, timer.subject), due);
            }
            Some(RowChange::DeleteTimer { kind, subject, .. }) => {
                self.timers.remove(&(kind, subject));
            }
            Some(_) | None => {}
        }
        self.is_worn |=
            matches!(event, KeyRingEvent::KeyDeleted(_) | KeyRingEvent::KeySecretReplaced(..));
        self.ring.apply(event);
    }

    pub(super) fn account_event(
        &mut self,
        event: AccountEvent,
        (position, at): (u64, Timestamp),
        keys: &Keychain,
    ) {
        if let AccountEvent::AccountRegistered(_, person) = &event {
            let held = person.as_ref().map(|it| keys.claims_of(&it.username, &it.email, None));
            self.names = held.map(Vec::from);
        }
        if let (AccountEvent::IdentityLinked(_, Some(identity)), Some(names)) =
            (&event, &mut self.names)
        {
            keys.link_claim(names, identity);
        }
        if let (AccountEvent::SignInNamesChanged(_, Some(new)), Some(names)) =
            (&event, &mut self.names)
        {
            keys.rename_claims(names, new);
        }
        if let AccountEvent::SignedIn(facts, seen) = &event {
            let user_agent = seen.as_ref().map(|seen| seen.user_agent.clone());
            self.sessions.insert(facts.session, Began { at, position, user_agent });
        }
        // What replaces a password's hash, or that of a reset's token, destroys the one before.
        self.is_worn |= matches!(
            event,
            AccountEvent::PasswordChanged(_)
                | AccountEvent::PasswordResetCreated(_)
                | AccountEvent::PasswordReset(_)
        );
        self.account.apply(event);
        let alive = &self.account.sessions;
        self.sessions.retain(|session, _| alive.contains(session));
        if self.account.is_erased {
            self.timers.clear();
            self.names = Some(Vec::new());
        }
    }
}

//! The state by which commands are decided: facts only, so it can be folded after erasure too.

use super::commands::{AccountCommand, Verified};
use super::error::AccountError;
use super::event::AccountEvent;
use crate::actor::Role;
use crate::id::SessionId;
use crate::timestamp::Timestamp;
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most sessions of one user at a time; the oldest ends when another starts.
pub const MAX_SESSIONS: usize = 100;

/// One user's account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent of each other")]
pub struct Account {
    /// Version of the stream.
    pub version: u64,
    /// The account exists (also after its erasure).
    pub is_registered: bool,
    /// The user may sign in.
    pub is_active: bool,
    /// The user's content was destroyed.
    pub is_erased: bool,
    /// The user signs in with tokens of an external issuer and has no password.
    #[serde(default)]
    pub is_external: bool,
    /// The user's roles, always including `user`.
    pub roles: BTreeSet<Role>,
    /// Number of times that a password or a reset was set: the version of the valid row of
    /// credentials.
    pub password_version: u32,
    /// The row of credentials is that of a password. Not so from the creation of a reset on.
    #[serde(default)]
    pub has_password: bool,
    /// When the token of the latest reset expires, if it can still be used.
    #[serde(default)]
    pub reset_until: Option<Timestamp>,
    /// Version of the last event that was not about sessions: what callers expect.
    #[serde(default)]
    pub changed: u64,
    /// Sessions that were not ended, oldest first. Includes those whose refresh token has expired.
    pub sessions: Vec<SessionId>,
}

impl Account {
    /// Refuses an account that does not exist or was erased.
    pub(crate) fn present(&self) -> Result<&Self, AccountError> {
        if self.is_registered && !self.is_erased { Ok(self) } else { Err(AccountError::NotFound) }
    }

    /// Refuses an account that isn't active.
    pub(crate) fn active(&self) -> Result<&Self, AccountError> {
        if self.present()?.is_active { Ok(self) } else { Err(AccountError::Deactivated) }
    }

    /// Refuses an account that has changed since the caller read it. Sign-ins are no change.
    ///
    /// # Errors
    /// [`AccountError::VersionMismatch`].
    pub fn expected(&self, expected: Option<u64>) -> Result<&Self, AccountError> {
        match expected {
            Some(expected) if expected != self.changed => {
                Err(AccountError::VersionMismatch { expected, actual: self.changed })
            }
            Some(_) | None => Ok(self),
        }
    }

    /// Whether the account may manage others once its user can sign in.
    pub fn is_for_administration(&self) -> bool {
        self.is_active && self.roles.contains(&Role::Admin)
    }

    /// Whether the user can sign in and manage accounts. Somebody must remain who can.
    /// `by_identity`: whether tokens of an external issuer are accepted, and the account's roles
    /// count for its users.
    pub fn is_administrator(&self, by_identity: bool) -> bool {
        let can_sign_in = if self.is_external { by_identity } else { self.has_password };
        can_sign_in && self.is_for_administration()
    }

    /// Refuses what was verified before, if the account no longer signs in by it.
    pub(crate) fn verified_by(&self, verified: Verified) -> Result<(), AccountError> {
        let holds = match verified {
            Verified::Password(version) => {
                !self.is_external && self.has_password && version == self.password_version
            }
            Verified::Token => self.is_external,
        };
        if holds { Ok(()) } else { Err(AccountError::NoLongerVerified) }
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Error = AccountError;
    type Services = ();

    async fn handle(
        &mut self,
        command: AccountCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), AccountError> {
        for event in command.decide(self)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: AccountEvent) {
        self.version += 1;
        if !event.is_of_sessions() {
            self.changed = self.version;
        }
        match event {
            AccountEvent::AccountRegistered(facts, _) => {
                self.is_registered = true;
                self.is_active = true;
                self.roles = facts.roles.into_iter().collect();
                self.password_version = 1;
                self.has_password = true;
            }
            AccountEvent::IdentityLinked(..) => self.is_external = true,
            AccountEvent::AccountRenamed(..) | AccountEvent::SignInNamesChanged(..) => {}
            AccountEvent::PasswordChanged(_) | AccountEvent::PasswordReset(_) => {
                self.password_version += 1;
                self.has_password = true;
                self.reset_until = None;
            }
            AccountEvent::PasswordResetCreated(facts) => {
                self.password_version += 1;
                self.has_password = false;
                self.reset_until = Some(facts.expires_at);
            }
            AccountEvent::RoleGranted(facts) => {
                self.roles.insert(facts.role);
            }
            AccountEvent::RoleRevoked(facts) => {
                self.roles.remove(&facts.role);
            }
            AccountEvent::AccountDeactivated(_) => {
                self.is_active = false;
                self.reset_until = None;
            }
            AccountEvent::AccountReactivated(_) => self.is_active = true,
            AccountEvent::SignedIn(facts, _) => self.sessions.push(facts.session),
            AccountEvent::SignedOut(facts) => {
                self.sessions.retain(|session| *session != facts.session);
            }
            AccountEvent::RefreshTokenReused(facts) => {
                self.sessions.retain(|session| *session != facts.session);
            }
            AccountEvent::SessionsRevoked(facts) => {
                self.sessions.retain(|session| !facts.sessions.contains(session));
            }
            AccountEvent::AccountErased(_) => {
                self.is_erased = true;
                self.is_active = false;
                self.reset_until = None;
                self.sessions.clear();
            }
        }
    }
}

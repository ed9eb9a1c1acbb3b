use super::sessions::signed_in;
use crate::account::{Account, AccountError, AccountEvent, Person, Registered, ResetCreated};
use crate::actor::Role;
use crate::id::SessionId;
use crate::text::{Email, FullName, Username};
use crate::timestamp::Timestamp;
use std::collections::BTreeSet;

/// Creates an account. The log ensures by claims that username and e-mail are free: no aggregate
/// sees another.
#[derive(Clone, Debug)]
pub struct RegisterAccount {
    /// As entered.
    pub username: Username,
    /// Lower-cased.
    pub email: Email,
    /// As the user writes it, if given.
    pub full_name: Option<FullName>,
    /// The roles besides `user`.
    pub roles: BTreeSet<Role>,
    /// Instead of a password, a token that sets one: when it expires.
    pub reset_until: Option<Timestamp>,
    /// Signs in at once: the session and the client's user agent.
    pub session: Option<(SessionId, Option<String>)>,
}

impl RegisterAccount {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        if account.version > 0 {
            return Err(AccountError::Exists);
        }
        let mut roles = self.roles;
        roles.insert(Role::User);
        let roles = roles.into_iter().collect();
        let person = Person {
            username: self.username.as_str().to_owned(),
            email: self.email.as_str().to_owned(),
            full_name: self.full_name.map(FullName::into_string),
        };
        let mut events = vec![AccountEvent::AccountRegistered(Registered { roles }, Some(person))];
        if let Some(expires_at) = self.reset_until {
            events.push(AccountEvent::PasswordResetCreated(ResetCreated { expires_at }));
        }
        if let Some((session, user_agent)) = self.session {
            events.push(signed_in(session, user_agent));
        }
        Ok(events)
    }
}

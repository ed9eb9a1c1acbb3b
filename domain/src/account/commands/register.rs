use super::signed_in;
use crate::account::{Account, AccountError, AccountEvent, Person, Registered};
use crate::actor::Role;
use crate::id::SessionId;
use crate::text::{Email, FullName, Username};

/// Makes an account. That username and e-mail are free is the log's to hold (claims): no stream sees another.
#[derive(Clone, Debug)]
pub struct RegisterAccount {
    /// As typed.
    pub username: Username,
    /// Lower-cased.
    pub email: Email,
    /// As they write it.
    pub full_name: Option<FullName>,
    /// Besides `user`.
    pub role: Role,
    /// Signs in at once: the session, and where from.
    pub session: Option<(SessionId, Option<String>)>,
}

impl RegisterAccount {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        if account.version > 0 {
            return Err(AccountError::Exists);
        }
        let roles =
            if self.role == Role::User { vec![Role::User] } else { vec![Role::User, self.role] };
        let person = Person {
            username: self.username.as_str().to_owned(),
            email: self.email.as_str().to_owned(),
            full_name: self.full_name.map(FullName::into_string),
        };
        let mut events = vec![AccountEvent::AccountRegistered(Registered { roles }, Some(person))];
        if let Some((session, user_agent)) = self.session {
            events.push(signed_in(session, user_agent));
        }
        Ok(events)
    }
}

use super::sessions::signed_in;
use crate::account::{Account, AccountError, AccountEvent, Identity, NoFacts, Person, Registered};
use crate::actor::Role;
use crate::id::SessionId;
use crate::text::{Email, FullName, Username};

/// Creates the account of a user whom an external issuer vouches for, and starts its one session.
/// The log ensures by a claim that the identity has no other account, so two concurrent first
/// requests create one account.
#[derive(Clone, Debug)]
pub struct RegisterExternal {
    /// The user at the issuer.
    pub identity: Identity,
    /// The name that is shown.
    pub username: Username,
    /// From the issuer; not claimed, because its ownership was not proved to this program.
    pub email: Option<Email>,
    /// From the issuer, if given.
    pub full_name: Option<FullName>,
    /// The one session.
    pub session: SessionId,
}

impl RegisterExternal {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        if account.version > 0 {
            return Err(AccountError::Exists);
        }
        let person = Person {
            username: self.username.as_str().to_owned(),
            email: self.email.map_or_else(String::new, |email| email.as_str().to_owned()),
            full_name: self.full_name.map(FullName::into_string),
        };
        Ok(vec![
            AccountEvent::AccountRegistered(Registered { roles: vec![Role::User] }, Some(person)),
            AccountEvent::IdentityLinked(NoFacts {}, Some(self.identity)),
            signed_in(self.session, None),
        ])
    }
}

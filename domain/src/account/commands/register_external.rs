use super::signed_in;
use crate::account::{Account, AccountError, AccountEvent, Identity, NoFacts, Person, Registered};
use crate::actor::Role;
use crate::id::SessionId;
use crate::text::{Email, FullName, Username};

/// Makes the account of somebody whom an external issuer vouches for, and begins its one session. That the identity has no other
/// account is the log's to hold (a claim), so two first requests at once make one account.
#[derive(Clone, Debug)]
pub struct RegisterExternal {
    /// Who they are at the issuer.
    pub identity: Identity,
    /// By which they are shown.
    pub username: Username,
    /// As the issuer says it; not claimed, for whose it is was never shown to us.
    pub email: Option<Email>,
    /// As they write it.
    pub full_name: Option<FullName>,
    /// The session.
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

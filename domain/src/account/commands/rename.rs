use crate::account::{Account, AccountError, AccountEvent, NoFacts, Renamed, SignInNames};
use crate::text::{Email, FullName, Username};

/// Changes the names of a user: those by which they sign in, and the one that is displayed. The log
/// ensures by claims that username and e-mail address are free.
#[derive(Clone, Debug, Default)]
pub struct RenameAccount {
    /// `None` leaves it.
    pub username: Option<Username>,
    /// `None` leaves it.
    pub email: Option<Email>,
    /// `None` leaves it, `Some(None)` removes it.
    pub full_name: Option<Option<FullName>>,
}

impl RenameAccount {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        if account.present()?.is_external && self.email.is_some() {
            return Err(AccountError::ForeignEmail);
        }
        let mut events = Vec::new();
        if self.username.is_some() || self.email.is_some() {
            let names = SignInNames {
                username: self.username.map(|name| name.as_str().to_owned()),
                email: self.email.map(|email| email.as_str().to_owned()),
            };
            events.push(AccountEvent::SignInNamesChanged(NoFacts {}, Some(names)));
        }
        if let Some(full_name) = self.full_name {
            let full_name = full_name.map(FullName::into_string);
            events.push(AccountEvent::AccountRenamed(NoFacts {}, Some(Renamed { full_name })));
        }
        Ok(events)
    }
}

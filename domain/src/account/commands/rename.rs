use crate::account::{Account, AccountError, AccountEvent, NoFacts, Renamed};
use crate::text::FullName;

/// Changes the user's full name.
#[derive(Clone, Debug)]
pub struct RenameAccount {
    /// `None` removes it.
    pub full_name: Option<FullName>,
}

impl RenameAccount {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        account.present()?;
        let full_name = self.full_name.map(FullName::into_string);
        Ok(vec![AccountEvent::AccountRenamed(NoFacts {}, Some(Renamed { full_name }))])
    }
}

use crate::account::{Account, AccountError, AccountEvent, NoFacts};

/// Lets a user sign in again.
#[derive(Clone, Copy, Debug)]
pub struct ReactivateAccount;

impl ReactivateAccount {
    pub(super) fn decide(_: Self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        let is_active = account.present()?.is_active;
        Ok(if is_active { Vec::new() } else { vec![AccountEvent::AccountReactivated(NoFacts {})] })
    }
}

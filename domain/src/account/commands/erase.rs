use crate::account::{Account, AccountError, AccountEvent, NoFacts};

/// Destroys a user's content: the keys of their vault are shredded in the same commit; facts and
/// proofs remain.
#[derive(Clone, Copy, Debug)]
pub struct EraseAccount;

impl EraseAccount {
    pub(super) fn decide(_: Self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        account.present()?;
        Ok(vec![AccountEvent::AccountErased(NoFacts {})])
    }
}

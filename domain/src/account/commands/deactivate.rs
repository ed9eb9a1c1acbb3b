use super::sessions::revoke_all;
use crate::account::{Account, AccountError, AccountEvent, NoFacts, RevokeReason};

/// Keeps a user from signing in, and ends their sessions.
#[derive(Clone, Copy, Debug)]
pub struct DeactivateAccount;

impl DeactivateAccount {
    pub(super) fn decide(_: Self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        if !account.present()?.is_active {
            return Ok(Vec::new());
        }
        let mut events = vec![AccountEvent::AccountDeactivated(NoFacts {})];
        events.extend(revoke_all(account, RevokeReason::Deactivated));
        Ok(events)
    }
}

use super::sessions::revoke;
use crate::account::{Account, AccountError, AccountEvent, ResetCreated, RevokeReason};
use crate::timestamp::Timestamp;

/// Makes the password void and ends every session, until a token sets a new password. Somebody else
/// may know the old one, so it does not stay valid until the token is used. Possible while the
/// account is deactivated, so that it can be activated again without its old password.
#[derive(Clone, Copy, Debug)]
pub struct CreatePasswordReset {
    /// When the token expires.
    pub expires_at: Timestamp,
}

impl CreatePasswordReset {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        if account.present()?.is_external {
            return Err(AccountError::NoPassword);
        }
        let created = ResetCreated { expires_at: self.expires_at };
        let mut events = vec![AccountEvent::PasswordResetCreated(created)];
        events.extend(revoke(account.sessions.clone(), RevokeReason::PasswordChanged));
        Ok(events)
    }
}

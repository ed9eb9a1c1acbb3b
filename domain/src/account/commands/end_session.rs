use super::sessions::revoke;
use crate::account::{Account, AccountError, AccountEvent, RevokeReason};
use crate::id::SessionId;

/// Ends one session, from another one.
#[derive(Clone, Copy, Debug)]
pub struct EndSession {
    /// The session.
    pub session: SessionId,
}

impl EndSession {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        if !account.present()?.sessions.contains(&self.session) {
            return Err(AccountError::NoSession);
        }
        Ok(revoke(vec![self.session], RevokeReason::Requested).into_iter().collect())
    }
}

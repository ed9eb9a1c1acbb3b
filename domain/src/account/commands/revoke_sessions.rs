use super::sessions::revoke;
use crate::account::{Account, AccountError, AccountEvent, RevokeReason};
use crate::id::SessionId;

/// Ends every session but one.
#[derive(Clone, Copy, Debug)]
pub struct RevokeSessions {
    /// The session that remains, if any.
    pub except: Option<SessionId>,
}

impl RevokeSessions {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        let sessions = account
            .present()?
            .sessions
            .iter()
            .copied()
            .filter(|session| Some(*session) != self.except)
            .collect();
        Ok(revoke(sessions, RevokeReason::Requested).into_iter().collect())
    }
}

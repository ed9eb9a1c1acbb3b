use super::sessions::{revoke, revoke_all};
use crate::account::{Account, AccountError, AccountEvent, OfSessions, RevokeReason};
use crate::id::SessionId;
use crate::timestamp::Timestamp;

/// Ends every session but one.
#[derive(Clone, Copy, Debug)]
pub struct RevokeSessions {
    /// The session that remains, if any.
    pub except: Option<SessionId>,
    /// For a user of an external issuer, whose sessions are the issuer's tokens: when the caller's
    /// token was made. It remains, and all others end that there are.
    pub tokens_kept: Option<Timestamp>,
}

impl RevokeSessions {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        let reason = RevokeReason::Requested;
        if self.except.is_none() && self.tokens_kept.is_none() {
            return Ok(revoke_all(account.present()?, reason).into_iter().collect());
        }
        let sessions: Vec<_> = account
            .present()?
            .sessions
            .iter()
            .copied()
            .filter(|session| Some(*session) != self.except)
            .collect();
        let tokens_kept = self.tokens_kept.filter(|_| account.is_external);
        if tokens_kept.is_some() {
            // The tokens that end are not known here, so there may always be some.
            let facts = OfSessions { sessions, reason, tokens_kept };
            return Ok(vec![AccountEvent::SessionsRevoked(facts)]);
        }
        Ok(revoke(sessions, reason).into_iter().collect())
    }
}

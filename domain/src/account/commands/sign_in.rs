use super::sessions::{revoke, signed_in};
use crate::account::{Account, AccountError, AccountEvent, MAX_SESSIONS, RevokeReason};
use crate::id::SessionId;

/// Starts a session. The password has been verified before.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The session.
    pub session: SessionId,
    /// The client's user agent, if sent.
    pub user_agent: Option<String>,
}

impl SignIn {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        account.active()?;
        let too_many = (account.sessions.len() + 1).saturating_sub(MAX_SESSIONS);
        let oldest = account.sessions.iter().take(too_many).copied().collect();
        let mut events: Vec<_> = revoke(oldest, RevokeReason::TooMany).into_iter().collect();
        events.push(signed_in(self.session, self.user_agent));
        Ok(events)
    }
}

use super::sessions::{revoke, signed_in};
use crate::account::{Account, AccountError, AccountEvent, MAX_SESSIONS, RevokeReason};
use crate::id::SessionId;

/// What was verified before a session starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The password of this version.
    Password(u32),
    /// A token of the account's external issuer.
    Token,
}

/// Starts a session. What was verified must still be how the account signs in: a password that was
/// changed since it was verified starts none.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The session.
    pub session: SessionId,
    /// What was verified.
    pub verified: Verified,
    /// The client's user agent, if sent.
    pub user_agent: Option<String>,
}

impl SignIn {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        account.active()?.verified_by(self.verified)?;
        if account.sessions.contains(&self.session) {
            // A user of an external issuer has one session, which two requests may start at once.
            return Ok(Vec::new());
        }
        let too_many = (account.sessions.len() + 1).saturating_sub(MAX_SESSIONS);
        let oldest = account.sessions.iter().take(too_many).copied().collect();
        let mut events: Vec<_> = revoke(oldest, RevokeReason::TooMany).into_iter().collect();
        events.push(signed_in(self.session, self.user_agent));
        Ok(events)
    }
}

use super::sessions::{revoke, signed_in};
use crate::account::{Account, AccountError, AccountEvent, NoFacts, RevokeReason};
use crate::id::SessionId;
use crate::timestamp::Timestamp;

/// Sets a new password with the token of a reset, and signs in. The token has been verified before,
/// against the row of credentials with this version.
#[derive(Clone, Debug)]
pub struct ResetPassword {
    /// Version of the row that the token was verified against.
    pub password_version: u32,
    /// Time of the request.
    pub now: Timestamp,
    /// The new session.
    pub session: SessionId,
    /// The client's user agent, if sent.
    pub user_agent: Option<String>,
}

impl ResetPassword {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        let until = account.active()?.reset_until;
        let is_latest = account.password_version == self.password_version;
        if !is_latest || until.is_none_or(|until| self.now >= until) {
            return Err(AccountError::ResetInvalid);
        }
        let mut events = vec![AccountEvent::PasswordReset(NoFacts {})];
        events.extend(revoke(account.sessions.clone(), RevokeReason::PasswordChanged));
        events.push(signed_in(self.session, self.user_agent));
        Ok(events)
    }
}

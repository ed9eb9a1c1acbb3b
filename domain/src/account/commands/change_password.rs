use super::sessions::{revoke, signed_in};
use super::sign_in::Verified;
use crate::account::{Account, AccountError, AccountEvent, NoFacts, RevokeReason};
use crate::id::SessionId;

/// Changes the password: every session ends, and a new one may start for the user who changed it.
#[derive(Clone, Debug)]
pub struct ChangePassword {
    /// The version of the password that was verified, and that this change replaces.
    pub from_version: u32,
    /// The new session and the client's user agent.
    pub session: Option<(SessionId, Option<String>)>,
}

impl ChangePassword {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        if account.active()?.is_external {
            return Err(AccountError::NoPassword);
        }
        account.verified_by(Verified::Password(self.from_version))?;
        let mut events = vec![AccountEvent::PasswordChanged(NoFacts {})];
        events.extend(revoke(account.sessions.clone(), RevokeReason::PasswordChanged));
        if let Some((session, user_agent)) = self.session {
            events.push(signed_in(session, user_agent));
        }
        Ok(events)
    }
}

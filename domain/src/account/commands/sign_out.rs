use crate::account::{Account, AccountError, AccountEvent, LeftSession};
use crate::id::SessionId;
use crate::timestamp::Timestamp;

/// Ends a session.
#[derive(Clone, Copy, Debug)]
pub struct SignOut {
    /// The session.
    pub session: SessionId,
    /// For a user of an external issuer: the first time from which a token is not ended.
    pub tokens_from: Option<Timestamp>,
}

impl SignOut {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        account.present()?;
        let open = account.sessions.contains(&self.session);
        let tokens_from = self.tokens_from.filter(|_| account.is_external);
        Ok(if open {
            vec![AccountEvent::SignedOut(LeftSession { session: self.session, tokens_from })]
        } else {
            Vec::new()
        })
    }
}

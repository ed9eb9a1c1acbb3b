use crate::account::{Account, AccountError, AccountEvent, OfSession};
use crate::id::SessionId;

/// Ends a session.
#[derive(Clone, Copy, Debug)]
pub struct SignOut {
    /// The session.
    pub session: SessionId,
}

impl SignOut {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        account.present()?;
        let open = account.sessions.contains(&self.session);
        Ok(if open {
            vec![AccountEvent::SignedOut(OfSession { session: self.session })]
        } else {
            Vec::new()
        })
    }
}

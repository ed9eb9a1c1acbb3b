use crate::account::{Account, AccountError, AccountEvent, OfSession};
use crate::id::SessionId;

/// Ends a session because a spent refresh token of its family was presented again.
#[derive(Clone, Copy, Debug)]
pub struct ReportRefreshReuse {
    /// The session.
    pub session: SessionId,
}

impl ReportRefreshReuse {
    pub(super) fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        account.present()?;
        let open = account.sessions.contains(&self.session);
        Ok(if open {
            vec![AccountEvent::RefreshTokenReused(OfSession { session: self.session })]
        } else {
            Vec::new()
        })
    }
}

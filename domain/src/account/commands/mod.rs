//! What may be asked of an account, one command a file.

mod change_password;
mod deactivate;
mod erase;
mod reactivate;
mod register;
mod register_external;
mod rename;
mod report_reuse;
mod revoke_sessions;
mod roles;
mod sign_in;
mod sign_out;

pub use change_password::ChangePassword;
pub use deactivate::DeactivateAccount;
pub use erase::EraseAccount;
pub use reactivate::ReactivateAccount;
pub use register::RegisterAccount;
pub use register_external::RegisterExternal;
pub use rename::RenameAccount;
pub use report_reuse::ReportRefreshReuse;
pub use revoke_sessions::RevokeSessions;
pub use roles::{GrantRole, RevokeRole};
pub use sign_in::SignIn;
pub use sign_out::SignOut;

use super::{Account, AccountError, AccountEvent, OfSession, OfSessions, RevokeReason, Seen};
use crate::api_key::contains_secret;
use crate::id::SessionId;

/// Everything that may be asked of an account.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is its command, documented there")]
pub enum AccountCommand {
    RegisterAccount(RegisterAccount),
    RegisterExternal(RegisterExternal),
    RenameAccount(RenameAccount),
    ChangePassword(ChangePassword),
    GrantRole(GrantRole),
    RevokeRole(RevokeRole),
    DeactivateAccount(DeactivateAccount),
    ReactivateAccount(ReactivateAccount),
    SignIn(SignIn),
    SignOut(SignOut),
    RevokeSessions(RevokeSessions),
    ReportRefreshReuse(ReportRefreshReuse),
    EraseAccount(EraseAccount),
}

macro_rules! dispatch {
    ($($name:ident),+) => {
        impl AccountCommand {
            /// The events that the command leads to; none when things are already as asked.
            ///
            /// # Errors
            /// [`AccountError`]: the account stays as it is.
            pub fn decide(self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
                match self { $(Self::$name(command) => $name::decide(command, account)),+ }
            }
        }

        $(impl From<$name> for AccountCommand {
            fn from(command: $name) -> Self {
                Self::$name(command)
            }
        })+
    };
}
dispatch!(
    RegisterAccount,
    RegisterExternal,
    RenameAccount,
    ChangePassword,
    GrantRole,
    RevokeRole,
    DeactivateAccount,
    ReactivateAccount,
    SignIn,
    SignOut,
    RevokeSessions,
    ReportRefreshReuse,
    EraseAccount
);

/// Most characters kept of what a browser or program says of itself.
const MAX_USER_AGENT: usize = 200;

/// Begins a session. A client may say anything of itself: too much of it is cut, and a pasted key is left out.
fn signed_in(session: SessionId, user_agent: Option<String>) -> AccountEvent {
    let said = user_agent.filter(|text| !contains_secret(text));
    let user_agent = said.map(|text| text.chars().take(MAX_USER_AGENT).collect());
    AccountEvent::SignedIn(OfSession { session }, Some(Seen { user_agent }))
}

/// Ends sessions, if there are any to end.
fn revoke(sessions: Vec<SessionId>, reason: RevokeReason) -> Option<AccountEvent> {
    (!sessions.is_empty()).then_some(AccountEvent::SessionsRevoked(OfSessions { sessions, reason }))
}

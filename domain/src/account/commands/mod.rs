//! The commands on an account, one per file.

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
use crate::commands::commands;
use crate::id::SessionId;

commands! {
    /// A command on an account.
    AccountCommand on Account: AccountEvent, AccountError {
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
        EraseAccount,
    }
}

/// Most characters kept of a client's user agent.
const MAX_USER_AGENT: usize = 200;

/// Begins a session. A client may send anything as its user agent: it is cut at the bound, and left
/// out if it holds an API key.
fn signed_in(session: SessionId, user_agent: Option<String>) -> AccountEvent {
    let kept = user_agent.filter(|text| !contains_secret(text));
    let user_agent = kept.map(|text| text.chars().take(MAX_USER_AGENT).collect());
    AccountEvent::SignedIn(OfSession { session }, Some(Seen { user_agent }))
}

/// Ends these sessions; `None` if there are none.
fn revoke(sessions: Vec<SessionId>, reason: RevokeReason) -> Option<AccountEvent> {
    (!sessions.is_empty()).then_some(AccountEvent::SessionsRevoked(OfSessions { sessions, reason }))
}

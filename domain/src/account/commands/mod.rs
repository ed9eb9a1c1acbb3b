//! The commands on an account, one per file.

mod change_password;
mod create_password_reset;
mod deactivate;
mod end_session;
mod erase;
mod reactivate;
mod register;
mod register_external;
mod rename;
mod report_reuse;
mod reset_password;
mod revoke_sessions;
mod roles;
mod sessions;
mod sign_in;
mod sign_out;

pub use change_password::ChangePassword;
pub use create_password_reset::CreatePasswordReset;
pub use deactivate::DeactivateAccount;
pub use end_session::EndSession;
pub use erase::EraseAccount;
pub use reactivate::ReactivateAccount;
pub use register::RegisterAccount;
pub use register_external::RegisterExternal;
pub use rename::RenameAccount;
pub use report_reuse::ReportRefreshReuse;
pub use reset_password::ResetPassword;
pub use revoke_sessions::RevokeSessions;
pub use roles::{GrantRole, RevokeRole};
pub use sign_in::{SignIn, Verified};
pub use sign_out::SignOut;

use super::{Account, AccountError, AccountEvent};
use crate::commands::commands;

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
        EndSession,
        CreatePasswordReset,
        ResetPassword,
    }
}

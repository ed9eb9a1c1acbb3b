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
mod sessions;
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
    }
}

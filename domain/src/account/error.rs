//! Why a command on an account was refused.

use crate::actor::Role;
use crate::code::ErrorCode;

/// A refusal: nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Unknown or erased.
    #[error("no such account")]
    NotFound,
    /// The id is in use: a fault of the calling code.
    #[error("the account exists already")]
    Exists,
    /// The user may not sign in. Faces respond as to a wrong password.
    #[error("the account is deactivated")]
    Deactivated,
    /// The password was changed since it was verified.
    #[error("the password was changed while it was being checked: nothing was changed, try again")]
    NoLongerVerified,
    /// The account has no password.
    #[error(
        "this account has no password: it signs in at its identity provider, and the password is changed there"
    )]
    NoPassword,
    /// The role `user` belongs to every account.
    #[error("the role {} belongs to every account and cannot be granted or revoked", .0.as_str())]
    FixedRole(Role),
}

impl AccountError {
    /// The code of the contract.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::NotFound,
            Self::Exists | Self::NoLongerVerified => ErrorCode::Conflict,
            Self::Deactivated => ErrorCode::Unauthenticated,
            Self::FixedRole(_) | Self::NoPassword => ErrorCode::Validation,
        }
    }
}

//! Why a command on an account was refused.

use crate::actor::Role;
use crate::code::ErrorCode;

/// A refusal: nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// No such account, or erased.
    #[error("no such account")]
    NotFound,
    /// The id is in use: a fault of the caller.
    #[error("the account exists")]
    Exists,
    /// May not sign in. Faces answer as for a wrong password.
    #[error("the account is deactivated")]
    Deactivated,
    /// There is no password to change.
    #[error(
        "this account has no password: it signs in at its identity provider, and the password is changed there"
    )]
    NoPassword,
    /// `user` can't be granted or revoked.
    #[error("the role {} belongs to every account and can't be granted or revoked", .0.as_str())]
    FixedRole(Role),
}

impl AccountError {
    /// The code of the contract.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::NotFound,
            Self::Exists => ErrorCode::Conflict,
            Self::Deactivated => ErrorCode::Unauthenticated,
            Self::FixedRole(_) | Self::NoPassword => ErrorCode::Validation,
        }
    }
}

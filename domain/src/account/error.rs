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
    /// Changed since the caller read it.
    #[error(
        "the account is at version {actual}, not {expected}: read it again and repeat the request with that version"
    )]
    VersionMismatch {
        /// The version that the caller expects.
        expected: u64,
        /// The account's version.
        actual: u64,
    },
    /// Unknown, or ended before.
    #[error("no such session: list the sessions to see their ids")]
    NoSession,
    /// The token is not that of the latest reset, was used, or has expired.
    #[error(
        "the reset token is invalid, was used or has expired: ask an administrator for another"
    )]
    ResetInvalid,
    /// The address comes with the tokens of the external issuer.
    #[error("this account's e-mail address comes from its identity provider: change it there")]
    ForeignEmail,
    /// Nobody else could manage accounts.
    #[error(
        "this is the last active administrator: give another account the role admin and a password first"
    )]
    LastAdministrator,
    /// The role `user` belongs to every account.
    #[error("the role {} belongs to every account and cannot be granted or revoked", .0.as_str())]
    FixedRole(Role),
}

impl AccountError {
    /// The code of the contract.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound | Self::NoSession => ErrorCode::NotFound,
            Self::Exists
            | Self::NoLongerVerified
            | Self::VersionMismatch { .. }
            | Self::LastAdministrator => ErrorCode::Conflict,
            Self::Deactivated | Self::ResetInvalid => ErrorCode::Unauthenticated,
            Self::FixedRole(_) | Self::NoPassword | Self::ForeignEmail => ErrorCode::Validation,
        }
    }
}

//! Why a command on keys was refused.

use crate::code::ErrorCode;
use crate::id::KeyId;
use crate::timestamp::Timestamp;

/// A refusal: nothing was changed. The texts are for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// Unknown, deleted, or owned by another user.
    #[error("no such key: list your keys to see their ids")]
    NotFound,
    /// Changed since the caller read it.
    #[error(
        "the key is at version {actual}, not {expected}: read it again and repeat the request with that version"
    )]
    VersionMismatch {
        /// The version that the caller expects.
        expected: u64,
        /// The key's version.
        actual: u64,
    },
    /// A version was expected, and the context has no default key.
    #[error(
        "the context has no default key, so there is no version {expected} to compare: read it again"
    )]
    NoDefaultToCompare {
        /// The version that the caller expects.
        expected: u64,
    },
    /// Not possible as a default.
    #[error("the key is inactive and cannot become a default: activate it first")]
    Inactive,
    /// Not possible as a default.
    #[error("the key expired at {at} and cannot become a default: set a later expiry first")]
    Expired {
        /// When it expired.
        at: Timestamp,
    },
    /// Another key of this user has this secret.
    #[error("you have added this secret before, as another key: use that one, or delete it first")]
    Duplicate {
        /// The key that has the secret.
        existing: KeyId,
    },
    /// The user has as many keys as are allowed.
    #[error("you have {max} keys, and no more are allowed: delete one that you do not need")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// The expiry is not in the future.
    #[error("the expiry {at} is not in the future: give a later time, or none")]
    ExpiryInPast {
        /// The requested expiry.
        at: Timestamp,
    },
    /// The id of an existing key or open test: a fault of the calling code, not of the user.
    #[error("the id is in use")]
    IdInUse,
}

impl KeyRingError {
    /// The code of the contract.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::NotFound,
            Self::VersionMismatch { .. }
            | Self::NoDefaultToCompare { .. }
            | Self::Inactive
            | Self::Expired { .. } => ErrorCode::Conflict,
            Self::Duplicate { .. } => ErrorCode::Duplicate,
            Self::TooMany { .. } => ErrorCode::LimitExceeded,
            Self::ExpiryInPast { .. } => ErrorCode::Validation,
            Self::IdInUse => ErrorCode::Internal,
        }
    }
}

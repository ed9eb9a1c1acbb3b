//! Why a command on keys was refused.

use crate::code::ErrorCode;
use crate::id::KeyId;
use crate::timestamp::Timestamp;

/// A refusal: nothing was changed. The texts are for people and say what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// Unknown, deleted, or somebody else's.
    #[error("no such key: list your keys to see their ids")]
    NotFound,
    /// Changed since the caller looked.
    #[error("the key is at version {actual}, not {expected}: read it again and decide anew")]
    VersionMismatch {
        /// What the caller expected.
        expected: u64,
        /// What it is.
        actual: u64,
    },
    /// There is no default whose version could be compared.
    #[error(
        "the context has no default key, so there is no version {expected} to compare: read it again"
    )]
    NoDefaultToCompare {
        /// What the caller expected.
        expected: u64,
    },
    /// Can't become a default.
    #[error("the key is inactive and can't become a default: activate it first")]
    Inactive,
    /// Can't become a default.
    #[error("the key expired at {at} and can't become a default: set a later expiry first")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// This user has this secret already.
    #[error("you have added this secret before, as another key: use that one, or delete it first")]
    Duplicate {
        /// The key that has it.
        existing: KeyId,
    },
    /// As many keys as allowed.
    #[error("you have {max} keys, and no more are allowed: delete one you don't need")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// Expiry must lie ahead.
    #[error("the expiry {at} is not in the future: give a later time, or none")]
    ExpiryInPast {
        /// What was given.
        at: Timestamp,
    },
    /// The id of a key or an open test that exists already: a fault of the caller, not of the user.
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

//! The codes of the contract, and the top-level errors that carry them. The refusals of mutations
//! are typed: see `mutation/user_errors.rs`.

use async_graphql::{Enum, Error, ErrorExtensions};
use claviger_domain::code::ErrorCode as Code;
use claviger_domain::failure::{Failure, FailureDetail};

/// The one set of codes for GraphQL extensions.code, UserError.code, REST and exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Code")]
pub enum ErrorCode {
    Unauthenticated,
    Forbidden,
    NotFound,
    Validation,
    Conflict,
    Duplicate,
    IdempotencyKeyReused,
    LimitExceeded,
    RateLimited,
    NoCredential,
    KeyUnavailable,
    Upstream,
    ViewBehind,
    CursorInvalid,
    BadRequest,
    PersistedQueryNotFound,
    Timeout,
    StoreUnavailable,
    ShuttingDown,
    Internal,
}

/// A top-level error with its stable code.
pub(crate) fn top_level(failure: &Failure) -> Error {
    Error::new(failure.message.clone()).extend_with(|_, extensions| {
        extensions.set("code", failure.code.as_str());
        if let FailureDetail::RetryAfterMs(ms) = failure.detail {
            extensions.set("retryAfterMs", ms);
        }
    })
}

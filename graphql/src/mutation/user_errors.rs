//! The typed user errors of a mutation's payload, and which failures become one. Every other
//! failure becomes a top-level error.

use crate::error::{ErrorCode, top_level};
use crate::scalars::Position;
use crate::types::CredentialCandidate;
use async_graphql::{Error, ID, Interface, SimpleObject};
use claviger_application::ids::{self, IdKind};
use claviger_domain::code::ErrorCode as Code;
use claviger_domain::failure::{Failure, FailureDetail};

macro_rules! user_errors {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty),* }),+ $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Clone, SimpleObject)]
            pub(crate) struct $name {
                /// The stable code.
                pub(crate) code: ErrorCode,
                /// For people: what is wrong and what to do.
                pub(crate) message: String,
                /// Path of the input field at fault, starting with the argument.
                pub(crate) path: Option<Vec<String>>,
                $($(#[$fdoc])* pub(crate) $field: $ty),*
            }
        )+

        /// A refusal: nothing was changed.
        #[derive(Clone, Interface)]
        #[expect(clippy::enum_variant_names, reason = "the contract's names")]
        #[graphql(
            field(name = "code", ty = "&ErrorCode"),
            field(name = "message", ty = "&String"),
            field(name = "path", ty = "&Option<Vec<String>>")
        )]
        pub(crate) enum UserError { $($name($name)),+ }
    };
}

user_errors! {
    /// A value breaks a rule: `VALIDATION`, `LIMIT_EXCEEDED`.
    ValidationError {},
    /// `CONFLICT`, `DUPLICATE` (with existing), `IDEMPOTENCY_KEY_REUSED`.
    ConflictError {
        /// The version that the caller gave.
        expected_version: Option<Position>,
        /// The current version.
        actual_version: Option<Position>,
        /// The object of the caller that already has the value.
        existing: Option<ID>
    },
    /// The id is unknown or belongs to another user.
    NotFoundError {},
    /// `NO_CREDENTIAL`, `KEY_UNAVAILABLE`.
    CredentialError {
        /// The credentials that were considered.
        candidates: Vec<CredentialCandidate>
    },
    /// A wrong password or refresh token, a sign-in that is too old, or closed registration.
    AuthError {},
    /// Anthropic refused the request or did not answer.
    UpstreamError {
        /// Anthropic's HTTP status.
        status: Option<i32>,
        /// Milliseconds to wait before trying again.
        retry_after_ms: Option<i32>,
        /// Anthropic's request id.
        request_id: Option<String>
    },
}

/// Sorts a failure: a refusal is `Ok`, everything else a top-level error.
pub(crate) fn user_error(failure: &Failure) -> Result<UserError, Error> {
    let code = ErrorCode::from(failure.code);
    let (message, path) = (failure.message.clone(), path_of(failure));
    Ok(match failure.code {
        Code::Validation | Code::LimitExceeded => {
            UserError::ValidationError(ValidationError { code, message, path })
        }
        Code::Conflict | Code::Duplicate | Code::IdempotencyKeyReused => {
            UserError::ConflictError(conflict(failure))
        }
        Code::NotFound => UserError::NotFoundError(NotFoundError { code, message, path }),
        Code::NoCredential | Code::KeyUnavailable => UserError::CredentialError(CredentialError {
            code,
            message,
            path,
            candidates: Vec::new(),
        }),
        Code::Upstream => UserError::UpstreamError(UpstreamError {
            code,
            message,
            path,
            status: None,
            retry_after_ms: None,
            request_id: None,
        }),
        Code::Unauthenticated | Code::Forbidden if failure.detail == FailureDetail::Credentials => {
            UserError::AuthError(AuthError { code, message, path })
        }
        Code::Unauthenticated
        | Code::Forbidden
        | Code::RateLimited
        | Code::ViewBehind
        | Code::CursorInvalid
        | Code::BadRequest
        | Code::PersistedQueryNotFound
        | Code::Timeout
        | Code::StoreUnavailable
        | Code::ShuttingDown
        | Code::Internal => return Err(top_level(failure)),
    })
}

/// The path of the field at fault. The core names fields; here they are fields of the argument
/// `input`.
fn path_of(failure: &Failure) -> Option<Vec<String>> {
    let path = failure.path.as_ref()?;
    Some(std::iter::once("input".to_owned()).chain(path.iter().cloned()).collect())
}

fn conflict(failure: &Failure) -> ConflictError {
    let (expected, actual, existing) = match &failure.detail {
        FailureDetail::Versions { expected, actual } => (*expected, *actual, None),
        FailureDetail::Existing(key) => (None, None, Some(ID(ids::encode(IdKind::ApiKey, key.0)))),
        FailureDetail::None
        | FailureDetail::Credentials
        | FailureDetail::RetryAfterMs(_)
        | FailureDetail::Resolution(_) => (None, None, None),
    };
    ConflictError {
        code: failure.code.into(),
        message: failure.message.clone(),
        path: path_of(failure),
        expected_version: expected.map(Position),
        actual_version: actual.map(Position),
        existing,
    }
}

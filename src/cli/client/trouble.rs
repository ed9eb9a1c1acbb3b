//! Why a request failed, and whether it may be repeated.

use super::super::CliError;
use crate::cli::sanitize::sanitize;
use claviger_domain::code::ErrorCode;
use serde_json::Value;

/// The request brought no usable response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum Trouble {
    /// Nothing was sent.
    #[error(
        "cannot reach the server at {url} ({reason}): start one with `claviger serve`, or name \
         another with --url"
    )]
    Unreachable { url: String, reason: String },
    /// The connection broke: the request may have been executed, or may still be running.
    #[error("the connection to the server was lost ({0}): try again")]
    Lost(String),
    /// The response isn't from a server of this kind.
    #[error("the response is not from Claviger's GraphQL API ({0}): check --url")]
    Foreign(String),
    /// The server refused or failed the request.
    #[error("{message}")]
    Refused { code: ErrorCode, message: String },
}

impl Trouble {
    /// Whether the request may succeed a little later.
    pub(in super::super) fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost(_) => true,
            Self::Foreign(_) => false,
            Self::Refused { code, .. } => match code {
                ErrorCode::RateLimited
                | ErrorCode::ViewBehind
                | ErrorCode::Timeout
                | ErrorCode::StoreUnavailable
                | ErrorCode::ShuttingDown => true,
                ErrorCode::Unauthenticated
                | ErrorCode::Forbidden
                | ErrorCode::NotFound
                | ErrorCode::Validation
                | ErrorCode::Conflict
                | ErrorCode::Duplicate
                | ErrorCode::IdempotencyKeyReused
                | ErrorCode::LimitExceeded
                | ErrorCode::NoCredential
                | ErrorCode::KeyUnavailable
                | ErrorCode::Upstream
                | ErrorCode::CursorInvalid
                | ErrorCode::BadRequest
                | ErrorCode::PersistedQueryNotFound
                | ErrorCode::Internal => false,
            },
        }
    }

    /// Whether the server refused with this code.
    pub(in super::super) fn is(&self, wanted: ErrorCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }

    /// Reads an error of a GraphQL response, or a user error of a payload.
    pub(super) fn refused(error: &Value) -> Self {
        let code =
            error.pointer("/extensions/code").or_else(|| error.get("code")).and_then(Value::as_str);
        let mut message = error
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or("no reason was given")
            .to_owned();
        for candidate in error.get("candidates").and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| {
                candidate.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            message = format!("{message}\n  {}: {}", text("source"), text("reason"));
        }
        Self::Refused { code: code_of(code.unwrap_or_default()), message: sanitize(&message) }
    }
}

/// A code by its name. A code newer than this program becomes `INTERNAL`, distinguished only by its
/// message.
pub(in super::super) fn code_of(name: &str) -> ErrorCode {
    ErrorCode::ALL.iter().copied().find(|code| code.as_str() == name).unwrap_or(ErrorCode::Internal)
}

impl From<Trouble> for CliError {
    fn from(trouble: Trouble) -> Self {
        let code = match &trouble {
            Trouble::Unreachable { .. } => ErrorCode::ShuttingDown,
            Trouble::Lost(_) => ErrorCode::Timeout,
            Trouble::Foreign(_) => ErrorCode::BadRequest,
            Trouble::Refused { code, .. } => *code,
        };
        let is_nobody = code == ErrorCode::Unauthenticated;
        let hint = if is_nobody {
            " (give a token in CLAVIGER_TOKEN, or --user NAME --password-stdin)"
        } else {
            ""
        };
        Self::new(code, format!("{trouble}{hint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_keeps_its_code_and_lists_the_candidates() {
        let error = json!({ "message": "no credential", "code": "NO_CREDENTIAL", "candidates": [{ "source": "DEFAULT_KEY", "reason": "none\u{1b}[2J set" }] });
        let trouble = Trouble::refused(&error);
        let expected = "no credential\n  DEFAULT_KEY: none␛[2J set".to_owned();
        assert_eq!(trouble, Trouble::Refused { code: ErrorCode::NoCredential, message: expected });
        let later =
            Trouble::refused(&json!({ "message": "x", "extensions": { "code": "SHUTTING_DOWN" } }));
        assert!(later.passes() && !trouble.passes());
        assert!(
            Trouble::refused(&json!({ "message": "x", "extensions": { "code": "NEW" } }))
                .is(ErrorCode::Internal)
        );
    }
}

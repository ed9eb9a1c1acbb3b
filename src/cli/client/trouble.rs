//! Why something asked of a server brought no answer, and what that means for whoever may ask again.

use super::super::CliError;
use crate::cli::harmless::harmless;
use claviger_domain::code::ErrorCode;
use serde_json::Value;

/// Nothing came back that could be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum Trouble {
    /// Nothing was sent.
    #[error(
        "can't reach the server at {url} ({reason}): start one with `claviger serve`, or name another with --url"
    )]
    Unreachable {
        /// Where it should be.
        url: String,
        /// Why not.
        reason: String,
    },
    /// It may have been done, or may go on: the answer broke off.
    #[error("the connection to the server was lost ({0}): ask again")]
    Lost(String),
    /// Something answered that isn't a server of this kind.
    #[error("what answers there isn't claviger's GraphQL ({0}): look at --url")]
    Foreign(String),
    /// The server says no.
    #[error("{message}")]
    Refused {
        /// Which of the one set of codes.
        code: ErrorCode,
        /// Its words.
        message: String,
    },
}

impl Trouble {
    /// Asking again a little later may bring an answer.
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

    /// The server says that this is why not.
    pub(in super::super) fn is(&self, wanted: ErrorCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }

    /// An error of a GraphQL answer, or a user error of a payload.
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
        Self::Refused { code: code_of(code.unwrap_or_default()), message: harmless(&message) }
    }
}

/// A code by its name; one that is newer than this program is told from our own fault by its message only.
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
    fn a_refusal_keeps_its_code_and_says_what_was_tried() {
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

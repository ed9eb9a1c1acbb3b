//! Why something asked was not done: the one error that crosses from the core to every face.

use crate::code::ErrorCode;
use crate::id::KeyId;
use crate::orchestration::Resolution;
use crate::text::TextError;

/// A refusal or a fault. `message` is for people, states the remedy, and never contains a secret or
/// a driver's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The code.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// Where in the input the fault lies, for example `["input", "name"]`.
    pub path: Option<Vec<String>>,
    /// What a program would want to know.
    pub detail: FailureDetail,
}

/// What a program would want to know besides the code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FailureDetail {
    /// Nothing.
    #[default]
    None,
    /// The versions that didn't match.
    Versions {
        /// What the caller expected.
        expected: Option<u64>,
        /// What it is; `None` where there is nothing.
        actual: Option<u64>,
    },
    /// The caller's own key that has the value already.
    Existing(KeyId),
    /// Somebody tried to prove who they are and couldn't; as opposed to not having tried.
    Credentials,
    /// When to come back.
    RetryAfterMs(u64),
    /// Every credential that was looked at, and why none is used.
    Resolution(Resolution),
}

impl Failure {
    /// A failure without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: None, detail: FailureDetail::None }
    }

    /// A text that was refused, with where it stood.
    pub fn text(error: &TextError, path: &[&str]) -> Self {
        Self::new(ErrorCode::Validation, error.to_string()).at(path)
    }

    /// The same with its place in the input.
    #[must_use]
    pub fn at(mut self, path: &[&str]) -> Self {
        self.path = Some(path.iter().map(|part| (*part).to_owned()).collect());
        self
    }

    /// The same with details.
    #[must_use]
    pub fn with(mut self, detail: FailureDetail) -> Self {
        self.detail = detail;
        self
    }

    /// The one answer for foreign and unknown ids.
    pub fn not_found(what: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("no such {what}"))
    }

    /// A fault of the server. The place that detects it logs the cause, which never reaches the
    /// response.
    pub fn internal() -> Self {
        Self::new(
            ErrorCode::Internal,
            "something went wrong on our side: try again, and quote the request id if it stays",
        )
    }
}

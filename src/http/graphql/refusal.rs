//! Refusals of requests before execution.

use async_graphql::{Pos, ServerError};
use claviger_domain::code::ErrorCode;
use claviger_graphql::limits::LimitError;
use claviger_graphql::secret_variables::SecretInDocument;

/// Why a request is not executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// `BAD_REQUEST`, `LIMIT_EXCEEDED`, `FORBIDDEN` or `PERSISTED_QUERY_NOT_FOUND`.
    pub code: ErrorCode,
    /// For the client; quotes no value of the request.
    pub message: String,
    /// Where in the document.
    pub locations: Vec<Pos>,
}

impl Refusal {
    /// A malformed or contradictory request.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { code: ErrorCode::BadRequest, message: message.into(), locations: Vec::new() }
    }
}

impl From<LimitError> for Refusal {
    fn from(error: LimitError) -> Self {
        Self { code: error.code, message: error.message, locations: Vec::new() }
    }
}

impl From<SecretInDocument> for Refusal {
    fn from(error: SecretInDocument) -> Self {
        Self {
            code: SecretInDocument::CODE,
            message: error.to_string(),
            locations: vec![error.position],
        }
    }
}

impl From<Refusal> for ServerError {
    fn from(refusal: Refusal) -> Self {
        let mut error = Self::new(refusal.message, None);
        error.locations = refusal.locations;
        error.extensions.get_or_insert_default().set("code", refusal.code.as_str());
        error
    }
}

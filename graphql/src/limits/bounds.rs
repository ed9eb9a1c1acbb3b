//! The bounds, and the refusals that name them.

use claviger_domain::code::ErrorCode;

/// The bounds of one request. Every bound is inclusive: a query of depth 15 passes a limit of 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lexical tokens of the document: names, punctuators, numbers, strings.
    pub tokens: usize,
    /// Brackets of any kind open at once, and fragments spread within each other. Protects the
    /// parser's stack.
    pub nesting: usize,
    /// Depth of fields within fields, introspection exempt.
    pub depth: usize,
    /// Aliases, counted once for each spread of their fragment.
    pub aliases: usize,
    /// Fields at the root of the operation.
    pub root_fields: usize,
    /// Directives, counted once for each spread of their fragment.
    pub directives: usize,
    /// Fields, introspection exempt. Fields below a connection count once for each requested item.
    pub complexity: u64,
    /// Selections of the whole document with all fragments expanded, introspection included: the
    /// work of validation.
    pub selections: u64,
    /// Lists within lists of introspection (`fields { type { fields … } }`): each level multiplies
    /// the response by the size of the schema.
    pub introspection_lists: usize,
    /// Whether `__schema` and `__type` are allowed.
    pub introspection: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tokens: 10_000,
            nesting: 64,
            depth: 15,
            aliases: 30,
            root_fields: 20,
            directives: 50,
            complexity: 5_000,
            selections: 20_000,
            introspection_lists: 2,
            introspection: true,
        }
    }
}

/// Why a document was refused before execution. The message contains names of bounds, never text of
/// the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LimitError {
    /// `LIMIT_EXCEEDED`, or the code for another fault in the document's shape.
    pub code: ErrorCode,
    /// Names the bound and the value, for the client.
    pub message: String,
}

impl LimitError {
    pub(super) fn exceeded(bound: &str, value: impl Into<u64>, limit: impl Into<u64>) -> Self {
        let (value, limit) = (value.into(), limit.into());
        Self {
            code: ErrorCode::LimitExceeded,
            message: format!(
                "the query's {bound} reach {value}, and the limit is {limit}: request less, or split the query"
            ),
        }
    }

    pub(super) fn circular() -> Self {
        Self {
            code: ErrorCode::BadRequest,
            message: "a fragment spreads itself, directly or through others".to_owned(),
        }
    }

    pub(super) fn unterminated_string() -> Self {
        Self {
            code: ErrorCode::BadRequest,
            message: "syntax error: a string does not end".to_owned(),
        }
    }

    pub(super) fn introspection_off() -> Self {
        Self {
            code: ErrorCode::Forbidden,
            message: "introspection is disabled on this server".to_owned(),
        }
    }
}

/// Refuses a count that exceeds its bound.
pub(super) fn within(bound: &str, value: usize, limit: usize) -> Result<(), LimitError> {
    if value > limit {
        Err(LimitError::exceeded(bound, value as u64, limit as u64))
    } else {
        Ok(())
    }
}

//! The bounds and the refusals that name them.

use super::{expansion, measure, tokens, types::SchemaTypes};
use async_graphql::Variables;
use async_graphql_parser::types::ExecutableDocument;
use claviger_domain::code::ErrorCode;

/// What one request may ask for. Every bound is inclusive: a query of depth 15 passes a limit of 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lexical tokens of the document: names, punctuators, numbers, strings.
    pub tokens: usize,
    /// Brackets of any kind open at once, and fragments spread within each other. Protects the stack of the parser.
    pub nesting: usize,
    /// Fields within fields, introspection exempt.
    pub depth: usize,
    /// Aliases, each counted as often as its fragment is spread.
    pub aliases: usize,
    /// Fields at the root of the operation.
    pub root_fields: usize,
    /// Directives, each counted as often as its fragment is spread.
    pub directives: usize,
    /// Fields, those below a connection counted once per item asked for; introspection exempt.
    pub complexity: u64,
    /// Selections of the whole document with all fragments expanded, introspection included: what validation has to look at.
    pub selections: u64,
    /// Lists within lists of introspection (`fields { type { fields … } }`): each level multiplies the answer by the schema.
    pub introspection_lists: usize,
    /// Whether `__schema` and `__type` are answered at all.
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

impl Limits {
    /// Bounds the text before it is parsed.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` with the bound and the value; `BAD_REQUEST` for a string that doesn't end.
    pub fn check_text(&self, query: &str) -> Result<(), LimitError> {
        tokens::check(query, self)
    }

    /// Bounds every operation of a parsed document, whichever is to be executed: validation looks at all of them.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` with the bound and the value; `BAD_REQUEST` for fragments that spread themselves; `FORBIDDEN` for
    /// introspection where it is off.
    pub fn check_document(
        &self,
        document: &ExecutableDocument,
        variables: &Variables,
        types: &SchemaTypes,
    ) -> Result<(), LimitError> {
        expansion::check(document, self)?;
        measure::check(document, self, &measure::Given { variables, types })
    }
}

/// Why a document was refused before execution. The message holds names of bounds, never text of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LimitError {
    /// `LIMIT_EXCEEDED`, or what else is wrong with the document's shape.
    pub code: ErrorCode,
    /// Names the bound and the value; for the client.
    pub message: String,
}

impl LimitError {
    pub(super) fn exceeded(bound: &str, value: impl Into<u64>, limit: impl Into<u64>) -> Self {
        let (value, limit) = (value.into(), limit.into());
        Self {
            code: ErrorCode::LimitExceeded,
            message: format!(
                "the query's {bound} reach {value}, and the limit is {limit}: ask for less, or in several requests"
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
            message: "introspection is switched off on this server".to_owned(),
        }
    }
}

/// Refuses a count that passed its bound.
pub(super) fn within(bound: &str, value: usize, limit: usize) -> Result<(), LimitError> {
    if value > limit {
        Err(LimitError::exceeded(bound, value as u64, limit as u64))
    } else {
        Ok(())
    }
}

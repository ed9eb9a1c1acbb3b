//! The order of the checks: the text before it is parsed, then the parsed document.

use super::bounds::{LimitError, Limits};
use super::{expansion, measure, tokens, types::SchemaTypes};
use async_graphql::Variables;
use async_graphql_parser::types::ExecutableDocument;

impl Limits {
    /// Checks the text before it is parsed.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` with the bound and the value; `BAD_REQUEST` for an unterminated string.
    pub fn check_text(&self, query: &str) -> Result<(), LimitError> {
        tokens::check(query, self)
    }

    /// Checks every operation of a parsed document, not only the one to be executed, because
    /// validation visits all of them.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` with the bound and the value; `BAD_REQUEST` for fragments that spread
    /// themselves; `FORBIDDEN` for introspection where it is disabled.
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

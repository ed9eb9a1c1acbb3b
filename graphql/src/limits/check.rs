//! The order of the checks: the text before it is parsed, then the parsed document.

use super::bounds::{Cost, LimitError, Limits};
use super::{expansion, inputs, measure, tokens, types::SchemaTypes};
use async_graphql::Variables;
use async_graphql_parser::types::{ExecutableDocument, OperationDefinition};

impl Limits {
    /// Checks the text before it is parsed.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` with the bound and the value; `BAD_REQUEST` for an unterminated string.
    pub fn check_text(&self, query: &str) -> Result<(), LimitError> {
        tokens::check(query, self)
    }

    /// Checks every operation of a parsed document, not only the one to be executed, because
    /// validation visits all of them. Returns the cost of the most expensive one.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` with the bound and the value; `BAD_REQUEST` for fragments that spread
    /// themselves; `FORBIDDEN` for introspection where it is disabled.
    pub fn check_document(
        &self,
        document: &ExecutableDocument,
        variables: &Variables,
        types: &SchemaTypes,
    ) -> Result<Cost, LimitError> {
        expansion::check(document, self)?;
        measure::check(document, self, &measure::Given { variables, types })
    }

    /// Checks the bytes of every text and the items of every list that the operation's arguments
    /// hold, in the document and in the variables. Nothing has been looked up or stored yet.
    ///
    /// # Errors
    /// `VALIDATION` with the path of the argument, its size and its bound; `LIMIT_EXCEEDED` for more
    /// ids than `nodes` takes.
    pub fn check_inputs(
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        variables: &Variables,
        types: &SchemaTypes,
    ) -> Result<(), LimitError> {
        inputs::check(document, operation, variables, types)
    }
}

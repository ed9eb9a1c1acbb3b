//! What every GraphQL request passes before execution, whichever face it came through.

use super::documents::Documents;
use super::persisted::PersistedQueries;
use async_graphql::{Pos, Request, ServerError, Variables};
use async_graphql_parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection,
    SelectionSet,
};
use claviger_domain::code::ErrorCode;
use claviger_graphql::limits::{LimitError, Limits, SchemaTypes, SchemaTypesError};
use claviger_graphql::secret_variables::{SecretInDocument, refuse_written_secrets};

/// The bounds, and what the schema says of itself.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    types: SchemaTypes,
    persisted: PersistedQueries,
    documents: Documents,
}

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
    /// A request that can't be meant.
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

impl Admission {
    /// Reads the schema's description once.
    ///
    /// # Errors
    /// When `sdl` is not what `Schema::sdl()` gives: a fault of the program.
    pub fn new(sdl: &str, limits: Limits) -> Result<Self, SchemaTypesError> {
        Ok(Self {
            limits,
            types: SchemaTypes::from_sdl(sdl)?,
            persisted: PersistedQueries::default(),
            documents: Documents::default(),
        })
    }

    /// Judges a request and leaves its parsed document in it. Answers the kind of the operation that would run.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was executed.
    pub fn admit(&self, request: &mut Request) -> Result<OperationType, Refusal> {
        let hash = self.persisted.resolve(request)?;
        let known = self.documents.get(&request.query);
        let mut document = if let Some(known) = &known {
            ExecutableDocument::clone(known)
        } else {
            self.limits.check_text(&request.query)?;
            async_graphql_parser::parse_query(&request.query).map_err(|error| syntax(&error))?
        };
        self.limits.check_document(&document, &request.variables, &self.types)?;
        if known.is_none() {
            refuse_written_secrets(&document, &self.types)?;
            self.documents.keep(&request.query, &document);
        }
        let operation = chosen(&document, request.operation_name.as_deref())?;
        require_variables(operation, &request.variables)?;
        let kind = operation.ty;
        if kind == OperationType::Subscription {
            require_one_field(operation)?;
        }
        if let Some(hash) = hash {
            self.persisted.keep(hash, &request.query);
        }
        // The library compares the name even where there is nothing to choose from.
        if matches!(document.operations, DocumentOperations::Single(_)) {
            request.operation_name = None;
        }
        if kind == OperationType::Subscription {
            trim(&mut document);
        }
        request.set_parsed_query(document);
        Ok(kind)
    }
}

/// Gives back what the parser took in reserve: a subscription keeps its document for as long as it lives, and there are thousands.
fn trim(document: &mut ExecutableDocument) {
    match &mut document.operations {
        DocumentOperations::Single(operation) => {
            trim_selections(&mut operation.node.selection_set.node)
        }
        DocumentOperations::Multiple(operations) => {
            for operation in operations.values_mut() {
                trim_selections(&mut operation.node.selection_set.node);
            }
        }
    }
}

/// The document was measured before, so it is not deep.
fn trim_selections(selections: &mut SelectionSet) {
    selections.items.shrink_to_fit();
    for selection in &mut selections.items {
        match &mut selection.node {
            Selection::Field(field) => trim_selections(&mut field.node.selection_set.node),
            Selection::InlineFragment(fragment) => {
                trim_selections(&mut fragment.node.selection_set.node)
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// Where the text stops being GraphQL. The parser's own message shows the line, and with it whatever secret stands there.
fn syntax(error: &async_graphql_parser::Error) -> Refusal {
    let mut locations: Vec<Pos> = error.positions().collect();
    locations.truncate(1);
    let message = if let async_graphql_parser::Error::Syntax { message, start, .. } = error {
        let expected = message
            .lines()
            .last()
            .and_then(|line| line.split_once("= "))
            .map(|(_, expected)| expected);
        let expected = expected.map(|expected| format!(": {expected}")).unwrap_or_default();
        format!("syntax error at line {}, column {}{expected}", start.line, start.column)
    } else {
        error.to_string()
    };
    Refusal { code: ErrorCode::BadRequest, message, locations }
}

fn chosen<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, Refusal> {
    let mut operations = document.operations.iter();
    let found = match name {
        Some(wanted) => {
            operations.find(|(name, _)| name.is_some_and(|name| name.as_str() == wanted))
        }
        None if operations.len() > 1 => {
            return Err(Refusal::bad_request(
                "the document has several operations: say which with \"operationName\"",
            ));
        }
        None => operations.next(),
    };
    let unknown =
        || Refusal::bad_request("the document has no operation of the name in \"operationName\"");
    found.map(|(_, operation)| &operation.node).ok_or_else(unknown)
}

/// The specification wants one; the library would mix several, and leave out those behind fragments.
fn require_one_field(operation: &OperationDefinition) -> Result<(), Refusal> {
    match operation.selection_set.node.items.as_slice() {
        [only] if matches!(only.node, Selection::Field(_)) => Ok(()),
        _ => Err(Refusal::bad_request(
            "a subscription has exactly one root field, written out and not in a fragment",
        )),
    }
}

/// A variable that must be there is checked here: the library would notice in the middle of execution.
fn require_variables(
    operation: &OperationDefinition,
    variables: &Variables,
) -> Result<(), Refusal> {
    for variable in &operation.variable_definitions {
        let (name, ty) = (&variable.node.name.node, &variable.node.var_type.node);
        let absent = match variables.get(name) {
            None => variable.node.default_value.is_none(),
            Some(value) => matches!(value, async_graphql::Value::Null),
        };
        if absent && !ty.nullable {
            let message = format!("the variable \"${name}\" of the type \"{ty}\" must be given");
            return Err(Refusal { locations: vec![variable.pos], ..Refusal::bad_request(message) });
        }
    }
    Ok(())
}

//! The checks every GraphQL request passes before execution, on every face.

use super::documents::Documents;
use super::persisted::PersistedQueries;
use super::refusal::Refusal;
use super::{kept, root, secret_values};
use async_graphql::{Pos, Request, Variables};
use async_graphql_parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType,
};
use claviger_domain::code::ErrorCode;
use claviger_graphql::limits::{Cost, LimitError, Limits, SchemaTypes, SchemaTypesError};
use claviger_graphql::secret_variables::refuse_written_secrets;
use std::collections::HashSet;

/// The limits, and the schema's types to check documents against.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    types: SchemaTypes,
    persisted: PersistedQueries,
    documents: Documents,
}

impl Admission {
    /// Parses `sdl` once.
    ///
    /// # Errors
    /// When `sdl` isn't the output of `Schema::sdl()`: a fault of the program.
    pub fn new(sdl: &str, limits: Limits) -> Result<Self, SchemaTypesError> {
        Ok(Self {
            limits,
            types: SchemaTypes::from_sdl(sdl)?,
            persisted: PersistedQueries::default(),
            documents: Documents::default(),
        })
    }

    /// Checks a request and stores its parsed document in it. Returns the kind of the operation
    /// that would run.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was executed.
    pub fn admit(&self, request: &mut Request) -> Result<OperationType, Refusal> {
        self.admit_next(request, &mut Cost::default())
    }

    /// The same for the next request of a batch. `spent` is what those before it cost.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was executed.
    pub fn admit_next(
        &self,
        request: &mut Request,
        spent: &mut Cost,
    ) -> Result<OperationType, Refusal> {
        let hash = self.persisted.resolve(request)?;
        let known = self.documents.get(&request.query);
        let mut document = if let Some(known) = &known {
            ExecutableDocument::clone(known)
        } else {
            self.limits.check_text(&request.query)?;
            async_graphql_parser::parse_query(&request.query).map_err(|error| syntax(&error))?
        };
        let chosen = chosen(&document, request.operation_name.as_deref());
        if let Ok(operation) = &chosen {
            self.check_inputs(&document, operation, &mut request.variables)?;
        }
        let cost = self.limits.check_document(&document, &request.variables, &self.types)?;
        *spent = self.limits.add(*spent, cost)?;
        if known.is_none() {
            refuse_written_secrets(&document, &self.types)?;
            self.documents.keep(&request.query, &document);
        }
        let operation = chosen?;
        require_variables(operation, &request.variables)?;
        let kind = operation.ty;
        if kind == OperationType::Subscription {
            self.limits.check_subscription(&request.query)?;
        }
        secret_values::wrap(&mut request.variables, operation, &self.types);
        if kind == OperationType::Subscription {
            let name = request.operation_name.as_deref();
            root::unwrap(&mut document, name, self.types.root(kind))?;
        }
        if let Some(hash) = hash {
            self.persisted.keep(hash, &request.query);
        }
        if kind == OperationType::Subscription {
            kept::only(&mut document, request.operation_name.as_deref());
        }
        // The library compares the name even when the document has only one operation.
        if matches!(document.operations, DocumentOperations::Single(_)) {
            request.operation_name = None;
        }
        request.set_parsed_query(document);
        Ok(kind)
    }

    /// Checks the sizes of what the operation's arguments hold. Drops the variables that it doesn't
    /// declare: they could have any size, and nobody reads them.
    fn check_inputs(
        &self,
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        variables: &mut Variables,
    ) -> Result<(), LimitError> {
        let declared: HashSet<_> =
            operation.variable_definitions.iter().map(|known| &known.node.name.node).collect();
        variables.retain(|name, _| declared.contains(name));
        Limits::check_inputs(document, operation, variables, &self.types)
    }
}

/// Reports where the text stops being GraphQL. The parser's own message quotes the line, which may
/// contain a secret.
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
                "the document has several operations: choose one with \"operationName\"",
            ));
        }
        None => operations.next(),
    };
    let unknown =
        || Refusal::bad_request("the document has no operation with the name in \"operationName\"");
    found.map(|(_, operation)| &operation.node).ok_or_else(unknown)
}

/// Checked here because the library would detect a missing variable only during execution.
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
            let message = format!("the variable \"${name}\" of type \"{ty}\" is required");
            return Err(Refusal { locations: vec![variable.pos], ..Refusal::bad_request(message) });
        }
    }
    Ok(())
}

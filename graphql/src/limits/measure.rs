//! Walks an operation as it would run: depth, aliases, root fields, directives, complexity.

use super::bounds::{LimitError, Limits, within};
use super::types::{FieldShape, SchemaTypes};
use async_graphql::{Name, Variables};
use async_graphql_parser::types::{
    ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql_value::Value;

/// Items of a connection when the client gives no number.
const DEFAULT_PAGE: u64 = 20;

/// The variables of the request and the types of the schema.
pub(super) struct Given<'a> {
    pub(super) variables: &'a Variables,
    pub(super) types: &'a SchemaTypes,
}

pub(super) fn check(
    document: &ExecutableDocument,
    limits: &Limits,
    given: &Given<'_>,
) -> Result<(), LimitError> {
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        let mut walk =
            Walk { document, limits, given, operation, aliases: 0, root_fields: 0, directives: 0 };
        let on_variables: usize = operation
            .variable_definitions
            .iter()
            .map(|variable| variable.node.directives.len())
            .sum();
        walk.count_directives(operation.directives.len() + on_variables)?;
        walk.set(&operation.selection_set.node, Place::root(given.types.root(operation.ty)))?;
    }
    Ok(())
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    limits: &'a Limits,
    given: &'a Given<'a>,
    operation: &'a OperationDefinition,
    aliases: usize,
    root_fields: usize,
    directives: usize,
}

/// The position of a selection set in the operation.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The type of the parent, if the schema has it.
    parent: Option<&'a str>,
    /// Number of fields above.
    fields: usize,
    /// Whether the set is below `__schema` or `__type`.
    introspection: bool,
    /// Number of introspection lists above.
    lists: usize,
}

impl<'a> Place<'a> {
    fn root(ty: &'a str) -> Self {
        Self { parent: Some(ty), fields: 0, introspection: false, lists: 0 }
    }
}

impl<'a> Walk<'a> {
    /// The cost of a selection set, or the first exceeded bound. The expansion is already bounded.
    fn set(&mut self, set: &'a SelectionSet, place: Place<'a>) -> Result<u64, LimitError> {
        let mut cost = 0_u64;
        for selection in &set.items {
            self.count_directives(selection.node.directives().len())?;
            cost = cost.saturating_add(match &selection.node {
                Selection::Field(field) => self.field(&field.node, place)?,
                Selection::InlineFragment(fragment) => {
                    let fragment = &fragment.node;
                    let parent = fragment
                        .type_condition
                        .as_ref()
                        .map(|on| on.node.on.node.as_str())
                        .or(place.parent);
                    self.set(&fragment.selection_set.node, Place { parent, ..place })?
                }
                Selection::FragmentSpread(spread) => {
                    match self.document.fragments.get(&spread.node.fragment_name.node) {
                        Some(fragment) => {
                            let parent = Some(fragment.node.type_condition.node.on.node.as_str());
                            self.set(&fragment.node.selection_set.node, Place { parent, ..place })?
                        }
                        None => 0,
                    }
                }
            });
            // A subtree never costs more than the whole, so the query can be refused as soon as a
            // subtree is too expensive.
            if cost > self.limits.complexity {
                return Err(LimitError::exceeded(
                    "complexity points",
                    cost,
                    self.limits.complexity,
                ));
            }
        }
        Ok(cost)
    }

    fn field(&mut self, field: &'a Field, place: Place<'a>) -> Result<u64, LimitError> {
        if field.alias.is_some() {
            self.aliases += 1;
            within("aliases", self.aliases, self.limits.aliases)?;
        }
        if place.fields == 0 && !place.introspection {
            self.root_fields += 1;
            within("root fields", self.root_fields, self.limits.root_fields)?;
        }
        let name = field.name.node.as_str();
        if place.introspection || name.starts_with("__") {
            return self.introspection(field, place);
        }
        let fields = place.fields + 1;
        within("levels of fields", fields, self.limits.depth)?;
        let shape = place.parent.and_then(|parent| self.given.types.field(parent, name));
        let parent = shape.map(|shape| shape.output.as_str());
        let below = self.set(&field.selection_set.node, Place { parent, fields, ..place })?;
        Ok(below.saturating_mul(self.items(field, shape)).saturating_add(1))
    }

    fn introspection(&mut self, field: &'a Field, place: Place<'a>) -> Result<u64, LimitError> {
        let name = field.name.node.as_str();
        if !self.limits.introspection && matches!(name, "__schema" | "__type") {
            return Err(LimitError::introspection_off());
        }
        let lists = place.lists
            + usize::from(matches!(
                name,
                "fields" | "inputFields" | "interfaces" | "possibleTypes"
            ));
        within("introspection lists within each other", lists, self.limits.introspection_lists)?;
        self.set(
            &field.selection_set.node,
            Place { parent: None, introspection: true, lists, ..place },
        )?;
        Ok(0)
    }

    /// The number of items that a field returns: `first` or `last` if given, the default page for a
    /// connection without them, otherwise one.
    fn items(&self, field: &Field, shape: Option<&FieldShape>) -> u64 {
        let asked = ["first", "last"]
            .into_iter()
            .filter_map(|name| field.get_argument(name))
            .find_map(|value| self.number(&value.node));
        let unsaid = if shape.is_some_and(FieldShape::is_connection) { DEFAULT_PAGE } else { 1 };
        // Never zero: a subtree must not cost less than its parts.
        asked.unwrap_or(unsaid).max(1)
    }

    fn number(&self, value: &Value) -> Option<u64> {
        match value {
            Value::Number(number) => number.as_u64(),
            Value::Variable(name) => self.variable(name),
            Value::Null
            | Value::String(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_)
            | Value::List(_)
            | Value::Object(_) => None,
        }
    }

    fn variable(&self, name: &Name) -> Option<u64> {
        let given = self.given.variables.get(name);
        let default = || {
            let definition = self
                .operation
                .variable_definitions
                .iter()
                .find(|variable| variable.node.name.node == *name)?;
            definition.node.default_value.as_ref().map(|value| &value.node)
        };
        let value = given.or_else(default)?;
        if let async_graphql::Value::Number(number) = value { number.as_u64() } else { None }
    }

    fn count_directives(&mut self, more: usize) -> Result<(), LimitError> {
        self.directives += more;
        within("directives", self.directives, self.limits.directives)
    }
}

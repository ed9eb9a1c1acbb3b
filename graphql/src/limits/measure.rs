//! Walks an operation as it would run: depth, aliases, root fields, directives, complexity.

use super::bounds::{Cost, LimitError, Limits, within};
use super::given::given;
use super::types::{FieldShape, SchemaTypes};
use super::weights::{self, Items};
use async_graphql::{Name, Variables};
use async_graphql_parser::types::{
    ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql_value::{ConstValue, Value};
use std::collections::HashMap;

/// A scalar, whatever it holds.
const JSON: &str = "JSON";

/// Items of a connection when the client gives no number.
const DEFAULT_PAGE: u64 = 20;

/// The variables of the request and the types of the schema.
pub(super) struct Given<'a> {
    pub(super) variables: &'a Variables,
    pub(super) types: &'a SchemaTypes,
}

/// The cost of the most expensive operation. All are walked, because validation visits all.
pub(super) fn check(
    document: &ExecutableDocument,
    limits: &Limits,
    given: &Given<'_>,
) -> Result<Cost, LimitError> {
    let mut most = Cost::default();
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        let mut walk = Walk {
            document,
            limits,
            given,
            operation,
            aliases: 0,
            root_fields: 0,
            directives: 0,
            introspection: 0,
            counted: HashMap::new(),
        };
        let on_variables: usize = operation
            .variable_definitions
            .iter()
            .map(|variable| variable.node.directives.len())
            .sum();
        walk.count_directives(operation.directives.len() + on_variables)?;
        let root = Place::root(given.types.root(operation.ty));
        let points = walk.set(&operation.selection_set.node, root)?;
        most = most.max(Cost { points, introspection: walk.introspection });
    }
    Ok(most)
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    limits: &'a Limits,
    given: &'a Given<'a>,
    operation: &'a OperationDefinition,
    aliases: usize,
    root_fields: usize,
    directives: usize,
    /// Points of everything below `__schema` and `__type` so far.
    introspection: u64,
    /// Items of the lists in a variable, by its name and the type that is expected.
    counted: HashMap<(&'a str, &'a str), u64>,
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
    /// Items of all introspection lists above, multiplied.
    copies: u64,
}

impl<'a> Place<'a> {
    fn root(ty: &'a str) -> Self {
        Self { parent: Some(ty), fields: 0, introspection: false, lists: 0, copies: 1 }
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
        let weight = weights::of(place.parent, name);
        let items = match weight.items {
            Items::One => self.page(field, shape),
            Items::About(items) => items,
            Items::Of(list) => field.get_argument(list).map_or(1, |list| self.length(&list.node)),
        };
        let arguments = shape.map_or(0, |shape| self.arguments(field, shape));
        Ok(below
            // Never zero: a subtree must not cost less than its parts.
            .saturating_mul(items.max(1))
            .saturating_add(weight.points)
            .saturating_add(arguments))
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
        let limit = self.limits.introspection_points;
        self.introspection = self.introspection.saturating_add(place.copies);
        if self.introspection > limit {
            return Err(LimitError::exceeded("points of introspection", self.introspection, limit));
        }
        let copies = place.copies.saturating_mul(weights::of_introspection(name));
        self.set(
            &field.selection_set.node,
            Place { parent: None, introspection: true, lists, copies, ..place },
        )?;
        Ok(0)
    }

    /// The number of items on a page: `first` or `last` if given, the default page for a connection
    /// without them, otherwise one.
    fn page(&self, field: &Field, shape: Option<&FieldShape>) -> u64 {
        let asked = ["first", "last"]
            .into_iter()
            .filter_map(|name| field.get_argument(name))
            .find_map(|value| self.number(&value.node));
        let unsaid = if shape.is_some_and(FieldShape::is_connection) { DEFAULT_PAGE } else { 1 };
        asked.unwrap_or(unsaid)
    }

    /// Items of the lists in a field's arguments, at any depth.
    fn arguments(&mut self, field: &'a Field, shape: &'a FieldShape) -> u64 {
        field.arguments.iter().fold(0, |sum: u64, (name, value)| {
            let ty = shape.arguments.get(name.node.as_str());
            sum.saturating_add(ty.map_or(0, |ty| self.lists(&value.node, ty)))
        })
    }

    fn lists(&mut self, value: &'a Value, ty: &'a str) -> u64 {
        let types = self.given.types;
        match value {
            // A document can use a variable a thousand times.
            Value::Variable(name) => {
                let known = self.counted.get(&(name.as_str(), ty)).copied();
                let count = || self.given_value(name).map_or(0, |value| lists(types, value, ty));
                let count = known.unwrap_or_else(count);
                self.counted.insert((name, ty), count);
                count
            }
            Value::List(items) if ty != JSON => items.iter().fold(0, |sum: u64, item| {
                sum.saturating_add(1).saturating_add(self.lists(item, ty))
            }),
            Value::Object(fields) if self.given.types.is_input(ty) => {
                fields.iter().fold(0, |sum: u64, (name, value)| {
                    let ty = self.given.types.input_field(ty, name);
                    sum.saturating_add(ty.map_or(0, |ty| self.lists(value, ty)))
                })
            }
            Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_)
            | Value::List(_)
            | Value::Object(_) => 0,
        }
    }

    /// Items of a list argument; one for a single value, which stands for a list of one.
    fn length(&self, value: &Value) -> u64 {
        let length = |items: usize| u64::try_from(items).unwrap_or(u64::MAX);
        match value {
            Value::List(items) => length(items.len()),
            Value::Variable(name) => match self.given_value(name) {
                Some(ConstValue::List(items)) => length(items.len()),
                Some(_) | None => 1,
            },
            Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_)
            | Value::Object(_) => 1,
        }
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
        match self.given_value(name)? {
            ConstValue::Number(number) => number.as_u64(),
            ConstValue::Null
            | ConstValue::String(_)
            | ConstValue::Boolean(_)
            | ConstValue::Binary(_)
            | ConstValue::Enum(_)
            | ConstValue::List(_)
            | ConstValue::Object(_) => None,
        }
    }

    fn given_value(&self, name: &Name) -> Option<&'a ConstValue> {
        given(self.operation, self.given.variables, name)
    }

    fn count_directives(&mut self, more: usize) -> Result<(), LimitError> {
        self.directives += more;
        within("directives", self.directives, self.limits.directives)
    }
}

/// Items of the lists in a value, at any depth.
fn lists(types: &SchemaTypes, value: &ConstValue, ty: &str) -> u64 {
    match value {
        ConstValue::List(items) if ty != JSON => items
            .iter()
            .fold(0, |sum: u64, item| sum.saturating_add(1).saturating_add(lists(types, item, ty))),
        ConstValue::Object(fields) if types.is_input(ty) => {
            fields.iter().fold(0, |sum: u64, (name, value)| {
                let ty = types.input_field(ty, name);
                sum.saturating_add(ty.map_or(0, |ty| lists(types, value, ty)))
            })
        }
        ConstValue::Null
        | ConstValue::Number(_)
        | ConstValue::String(_)
        | ConstValue::Boolean(_)
        | ConstValue::Binary(_)
        | ConstValue::Enum(_)
        | ConstValue::List(_)
        | ConstValue::Object(_) => 0,
    }
}

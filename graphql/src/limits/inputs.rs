//! Bounds of what a client sends: bytes of every text, items of every list. They are checked before
//! anything is looked up or stored, on literals and variables alike.
//!
//! The rules of the domain are narrower and count characters; these bounds leave room for them, so
//! that a text which is a little too long gets the domain's typed refusal.

use super::bounds::LimitError;
use super::given::given;
use super::types::SchemaTypes;
use async_graphql::{Name, Variables};
use async_graphql_parser::types::{
    ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql_value::{ConstValue, Value};
use claviger_domain::code::ErrorCode;
use std::collections::{HashMap, HashSet};

/// Names, titles and other texts of one line. The longest that the domain takes has 256 characters.
const LINE: usize = 1024;

/// An id or a cursor: ours have fewer than 100 characters.
const ID: usize = 256;

/// A prompt. All texts of an orchestration together may have 256 KiB, which the command checks.
const PROMPT: usize = 512 * 1024;

/// Bytes of a text by the name of its argument or input field.
const TEXTS: &[(&str, usize)] = &[
    ("clientMutationId", LINE),
    ("context", LINE),
    ("currentDesign", PROMPT),
    ("email", LINE),
    ("fullName", LINE),
    ("id", ID),
    ("idempotencyKey", LINE),
    ("ids", ID),
    ("keyId", ID),
    ("model", LINE),
    ("name", LINE),
    ("participants", LINE),
    ("prompt", PROMPT),
    ("search", LINE),
    ("sequence", LINE),
    ("systemPrompt", PROMPT),
    ("task", PROMPT),
    ("title", LINE),
    ("topic", PROMPT),
    ("types", ID),
    ("username", LINE),
    ("usernameOrEmail", LINE),
];

/// Bytes of a text by its scalar, wherever it stands.
const SCALARS: &[(&str, usize)] = &[
    ("Cursor", ID),
    ("DateTime", 64),
    ("Position", 32),
    // 256 characters of a password, or an API key of 512.
    ("Secret", LINE),
    ("UInt64", 32),
];

/// Items of a list by the name of its argument or input field, and the code of the refusal.
const LISTS: &[(&str, usize, ErrorCode)] = &[
    ("agents", 256, ErrorCode::Validation),
    ("groupBy", 16, ErrorCode::Validation),
    ("ids", 100, ErrorCode::LimitExceeded),
    ("participants", 1024, ErrorCode::Validation),
    ("pattern", 16, ErrorCode::Validation),
    ("roles", 16, ErrorCode::Validation),
    ("sequence", 1024, ErrorCode::Validation),
    ("specialists", 256, ErrorCode::Validation),
    ("state", 16, ErrorCode::Validation),
    ("states", 16, ErrorCode::Validation),
    ("types", 64, ErrorCode::Validation),
    ("workers", 256, ErrorCode::Validation),
];

/// The most bytes of a text with this name and type; `None` if no bound is listed. A test over the
/// schema finds such a text; at run time it has the bound of a line.
pub fn text_bound(name: &str, ty: &str) -> Option<usize> {
    let listed = |list: &[(&str, usize)], wanted: &str| {
        list.iter().find(|(name, _)| *name == wanted).map(|(_, bytes)| *bytes)
    };
    listed(SCALARS, ty).or_else(|| listed(TEXTS, name))
}

/// The most items of a list with this name; `None` if no bound is listed.
pub fn list_bound(name: &str) -> Option<usize> {
    LISTS.iter().find(|(known, ..)| *known == name).map(|(_, items, _)| *items)
}

/// Checks the arguments of the operation and of every fragment, each once.
pub(super) fn check(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    types: &SchemaTypes,
) -> Result<(), LimitError> {
    let mut inputs =
        Inputs { operation, variables, types, checked: HashSet::new(), json: HashMap::new() };
    inputs.set(&operation.selection_set.node, types.root(operation.ty))?;
    document.fragments.values().try_for_each(|fragment| {
        let parent = fragment.node.type_condition.node.on.node.as_str();
        inputs.set(&fragment.node.selection_set.node, parent)
    })
}

struct Inputs<'a> {
    operation: &'a OperationDefinition,
    variables: &'a Variables,
    types: &'a SchemaTypes,
    /// Variables, and the names and types under which they were checked: a document can use one a
    /// thousand times.
    checked: HashSet<(&'a str, &'a str, &'a str)>,
    /// The sizes of variables inside JSON that is written out.
    json: HashMap<&'a str, usize>,
}

/// Where a value stands, and the type that the schema expects there.
#[derive(Clone, Copy)]
struct Place<'p, 'a> {
    name: &'a str,
    ty: &'a str,
    above: Option<&'p Place<'p, 'a>>,
}

impl Place<'_, '_> {
    fn path(&self) -> String {
        let above = self.above.map(|above| above.path() + ".").unwrap_or_default();
        above + self.name
    }

    fn text(&self, bytes: usize) -> Result<(), LimitError> {
        let most = text_bound(self.name, self.ty).unwrap_or(LINE);
        if bytes <= most {
            return Ok(());
        }
        let message = format!("{} has {bytes} bytes: at most {most} are allowed", self.path());
        Err(LimitError { code: ErrorCode::Validation, message })
    }

    fn items(&self, items: usize) -> Result<(), LimitError> {
        let listed = LISTS.iter().find(|(name, ..)| *name == self.name);
        let (most, code) =
            listed.map_or((100, ErrorCode::Validation), |(_, most, code)| (*most, *code));
        if items <= most {
            return Ok(());
        }
        let message = format!("{} has {items} items: at most {most} are allowed", self.path());
        Err(LimitError { code, message })
    }

    fn is_json(&self) -> bool {
        self.ty == "JSON"
    }

    /// Of some objects exactly one field must be given. The library says only that; here the client
    /// learns which ones it gave. Names that the schema doesn't have aren't repeated.
    fn one_of<'g>(
        &self,
        types: &SchemaTypes,
        given: impl Iterator<Item = (&'g str, bool)>,
    ) -> Result<(), LimitError> {
        let Some(names) = types.one_of(self.ty) else { return Ok(()) };
        let given: Vec<_> = given.collect();
        if matches!(given.as_slice(), [(_, false)]) {
            return Ok(());
        }
        let shown = given.iter().map(|(name, is_null)| match (names.contains(name), is_null) {
            (true, false) => (*name).to_owned(),
            (true, true) => format!("{name} (null)"),
            (false, _) => "a field that does not exist".to_owned(),
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        let (path, names) = (self.path(), names.join(", "));
        let message = match given.len() {
            0 => format!("{path} is empty: give exactly one of {names}"),
            1 => format!("{path} has {shown}: give exactly one of {names}, with a value"),
            _ => format!(
                "{path} has {shown}: give exactly one of {names}, and leave the others out, also as null"
            ),
        };
        Err(LimitError { code: ErrorCode::BadRequest, message })
    }
}

impl<'a> Inputs<'a> {
    fn set(&mut self, set: &'a SelectionSet, parent: &'a str) -> Result<(), LimitError> {
        set.items.iter().try_for_each(|selection| match &selection.node {
            Selection::Field(field) => self.field(&field.node, parent),
            Selection::InlineFragment(fragment) => {
                let on = fragment.node.type_condition.as_ref();
                let on = on.map_or(parent, |on| on.node.on.node.as_str());
                self.set(&fragment.node.selection_set.node, on)
            }
            Selection::FragmentSpread(_) => Ok(()),
        })
    }

    fn field(&mut self, field: &'a Field, parent: &str) -> Result<(), LimitError> {
        // A field or argument that is not in the schema is refused by validation.
        let Some(shape) = self.types.field(parent, field.name.node.as_str()) else {
            return Ok(());
        };
        for (name, value) in &field.arguments {
            let name = name.node.as_str();
            if let Some(ty) = shape.arguments.get(name) {
                self.literal(&value.node, Place { name, ty, above: None })?;
            }
        }
        self.set(&field.selection_set.node, &shape.output)
    }

    fn literal(&mut self, value: &'a Value, place: Place<'_, 'a>) -> Result<(), LimitError> {
        if place.is_json() && !matches!(value, Value::Variable(_)) {
            let size = self.json_of(value);
            return place.text(size);
        }
        match value {
            Value::Variable(name) => {
                if self.checked.insert((name, place.name, place.ty))
                    && let Some(value) = self.given(name)
                {
                    return self.constant(value, place);
                }
                Ok(())
            }
            Value::String(text) => place.text(text.len()),
            Value::Enum(name) => place.text(name.len()),
            Value::Binary(bytes) => place.text(bytes.len()),
            Value::List(items) => {
                place.items(items.len())?;
                items.iter().try_for_each(|item| self.literal(item, place))
            }
            Value::Object(fields) if self.types.is_input(place.ty) => {
                let is_null = |value: &Value| {
                    if let Value::Variable(name) = value {
                        matches!(self.given(name), None | Some(ConstValue::Null))
                    } else {
                        *value == Value::Null
                    }
                };
                place.one_of(self.types, fields.iter().map(|(name, it)| (&**name, is_null(it))))?;
                fields.iter().try_for_each(|(name, value)| {
                    match self.types.input_field(place.ty, name) {
                        Some(ty) => self.literal(value, Place { name, ty, above: Some(&place) }),
                        None => Ok(()),
                    }
                })
            }
            Value::Object(_) | Value::Null | Value::Number(_) | Value::Boolean(_) => Ok(()),
        }
    }

    fn given(&self, name: &Name) -> Option<&'a ConstValue> {
        given(self.operation, self.variables, name)
    }

    fn constant(&self, value: &'a ConstValue, place: Place<'_, 'a>) -> Result<(), LimitError> {
        if place.is_json() {
            return place.text(json(value));
        }
        match value {
            ConstValue::String(text) => place.text(text.len()),
            ConstValue::Enum(name) => place.text(name.len()),
            ConstValue::Binary(bytes) => place.text(bytes.len()),
            ConstValue::List(items) => {
                place.items(items.len())?;
                items.iter().try_for_each(|item| self.constant(item, place))
            }
            ConstValue::Object(fields) if self.types.is_input(place.ty) => {
                let given = fields.iter().map(|(name, it)| (&**name, *it == ConstValue::Null));
                place.one_of(self.types, given)?;
                fields.iter().try_for_each(|(name, value)| {
                    match self.types.input_field(place.ty, name) {
                        Some(ty) => self.constant(value, Place { name, ty, above: Some(&place) }),
                        None => Ok(()),
                    }
                })
            }
            ConstValue::Object(_)
            | ConstValue::Null
            | ConstValue::Number(_)
            | ConstValue::Boolean(_) => Ok(()),
        }
    }

    /// Bytes of a JSON value that is written out, with variables in it.
    fn json_of(&mut self, value: &'a Value) -> usize {
        match value {
            Value::Variable(name) => {
                let known = self.json.get(name.as_str()).copied();
                let size = known.unwrap_or_else(|| self.given(name).map_or(0, json));
                self.json.insert(name, size);
                size
            }
            Value::String(text) => text.len() + WORD,
            Value::Enum(name) => name.len() + WORD,
            Value::Binary(bytes) => bytes.len() + WORD,
            Value::List(items) => {
                items.iter().fold(WORD, |sum, item| sum.saturating_add(self.json_of(item)))
            }
            Value::Object(fields) => fields.iter().fold(WORD, |sum, (name, value)| {
                sum.saturating_add(name.len()).saturating_add(self.json_of(value))
            }),
            Value::Null | Value::Number(_) | Value::Boolean(_) => WORD,
        }
    }
}

/// Counted for each value of JSON besides its text.
const WORD: usize = 4;

fn json(value: &ConstValue) -> usize {
    match value {
        ConstValue::String(text) => text.len() + WORD,
        ConstValue::Enum(name) => name.len() + WORD,
        ConstValue::Binary(bytes) => bytes.len() + WORD,
        ConstValue::List(items) => items.iter().map(json).sum::<usize>() + WORD,
        ConstValue::Object(fields) => {
            let of = |(name, value): (&Name, &ConstValue)| name.len() + json(value);
            fields.iter().map(of).sum::<usize>() + WORD
        }
        ConstValue::Null | ConstValue::Number(_) | ConstValue::Boolean(_) => WORD,
    }
}

//! The parts of the schema needed before execution, read once from its SDL.
//!
//! The library does not expose its type registry; the SDL is the only description of the schema
//! that it offers.

use async_graphql_parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, OperationType, SchemaDefinition, Type,
    TypeKind, TypeSystemDefinition,
};
use async_graphql_parser::{Positioned, parse_schema};
use std::collections::{HashMap, HashSet};

/// The fields of every type by name, and the input types that hold a secret at any depth.
#[derive(Clone, Debug, Default)]
pub struct SchemaTypes {
    roots: Roots,
    objects: HashMap<String, HashMap<String, FieldShape>>,
    inputs: HashMap<String, HashMap<String, String>>,
    secret: HashSet<String>,
    one_of: HashSet<String>,
}

/// One field of an object or interface: its type and its arguments' types, without list and
/// non-null markers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldShape {
    /// The type of the field's value.
    pub output: String,
    /// The types of the field's arguments by name.
    pub arguments: HashMap<String, String>,
}

impl FieldShape {
    /// Whether the field is paged, so that its cost is multiplied by its items.
    pub fn is_connection(&self) -> bool {
        self.arguments.contains_key("first") || self.arguments.contains_key("last")
    }
}

/// The SDL cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[error("the schema's SDL cannot be parsed")]
pub struct SchemaTypesError(#[source] async_graphql_parser::Error);

#[derive(Clone, Debug)]
struct Roots {
    query: String,
    mutation: String,
    subscription: String,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            query: "Query".to_owned(),
            mutation: "Mutation".to_owned(),
            subscription: "Subscription".to_owned(),
        }
    }
}

/// The scalar that must never appear in a document.
const SECRET: &str = "Secret";

impl SchemaTypes {
    /// Reads the schema from the text that `Schema::sdl()` returns.
    ///
    /// # Errors
    /// When the text is not a schema: a fault of the program, found at startup.
    pub fn from_sdl(sdl: &str) -> Result<Self, SchemaTypesError> {
        let mut types = Self::default();
        for definition in parse_schema(sdl).map_err(SchemaTypesError)?.definitions {
            match definition {
                TypeSystemDefinition::Schema(schema) => types.roots = roots(&schema.node),
                TypeSystemDefinition::Directive(_) => {}
                TypeSystemDefinition::Type(definition) => {
                    let mut directives = definition.node.directives.iter();
                    if directives.any(|directive| directive.node.name.node.as_str() == "oneOf") {
                        types.one_of.insert(definition.node.name.node.to_string());
                    }
                    types.add(definition.node.name.node.as_str(), definition.node.kind);
                }
            }
        }
        types.secret = types.secret_bearing();
        Ok(types)
    }

    /// The root type of an operation.
    pub fn root(&self, operation: OperationType) -> &str {
        match operation {
            OperationType::Query => &self.roots.query,
            OperationType::Mutation => &self.roots.mutation,
            OperationType::Subscription => &self.roots.subscription,
        }
    }

    /// A field of an object or interface; `None` for a field that validation will refuse.
    pub fn field(&self, parent: &str, name: &str) -> Option<&FieldShape> {
        self.objects.get(parent)?.get(name)
    }

    /// The type of an input object's field.
    pub fn input_field(&self, input: &str, name: &str) -> Option<&str> {
        self.inputs.get(input)?.get(name).map(String::as_str)
    }

    /// Whether this is an input object.
    pub fn is_input(&self, ty: &str) -> bool {
        self.inputs.contains_key(ty)
    }

    /// The fields of an input object of which exactly one must be given, in the order of their names;
    /// `None` for any other type.
    pub fn one_of(&self, input: &str) -> Option<Vec<&str>> {
        let fields = self.inputs.get(input).filter(|_| self.one_of.contains(input))?;
        let mut names: Vec<_> = fields.keys().map(String::as_str).collect();
        names.sort_unstable();
        Some(names)
    }

    /// Whether a value of this input type is a secret, or holds one at any depth.
    pub fn holds_secret(&self, input: &str) -> bool {
        self.is_secret(input) || self.secret.contains(input)
    }

    /// Whether this is the secret scalar itself.
    pub fn is_secret(&self, input: &str) -> bool {
        input == SECRET
    }

    fn add(&mut self, name: &str, kind: TypeKind) {
        match kind {
            TypeKind::Object(object) => self.add_fields(name, object.fields),
            TypeKind::Interface(interface) => self.add_fields(name, interface.fields),
            TypeKind::InputObject(input) => {
                self.inputs.entry(name.to_owned()).or_default().extend(values(&input.fields));
            }
            TypeKind::Scalar | TypeKind::Union(_) | TypeKind::Enum(_) => {}
        }
    }

    fn add_fields(&mut self, name: &str, fields: Vec<Positioned<FieldDefinition>>) {
        let shapes = fields.into_iter().map(|field| {
            let shape = FieldShape {
                output: innermost(&field.node.ty.node),
                arguments: values(&field.node.arguments).collect(),
            };
            (field.node.name.node.to_string(), shape)
        });
        self.objects.entry(name.to_owned()).or_default().extend(shapes);
    }

    /// Input types can refer to each other in circles, so the set grows until nothing is added.
    fn secret_bearing(&self) -> HashSet<String> {
        let mut found = HashSet::new();
        loop {
            let before = found.len();
            for (name, fields) in &self.inputs {
                if fields.values().any(|ty| ty == SECRET || found.contains(ty)) {
                    found.insert(name.clone());
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }
}

fn roots(schema: &SchemaDefinition) -> Roots {
    let name = |root: &Option<Positioned<async_graphql::Name>>| {
        root.as_ref().map(|name| name.node.to_string()).unwrap_or_default()
    };
    Roots {
        query: name(&schema.query),
        mutation: name(&schema.mutation),
        subscription: name(&schema.subscription),
    }
}

fn values(
    definitions: &[Positioned<InputValueDefinition>],
) -> impl Iterator<Item = (String, String)> {
    definitions
        .iter()
        .map(|value| (value.node.name.node.to_string(), innermost(&value.node.ty.node)))
}

/// The name of a type without its lists and exclamation marks.
pub fn innermost(ty: &Type) -> String {
    let mut base = &ty.base;
    loop {
        match base {
            BaseType::Named(name) => return name.to_string(),
            BaseType::List(inner) => base = &inner.base,
        }
    }
}

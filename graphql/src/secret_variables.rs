//! Secrets are accepted only from variables.
//!
//! A document is text that clients cache, proxies keep and servers log; its variables are not. A
//! literal where the schema expects a `Secret`, or a type that holds one, is therefore refused
//! before execution, and so is a variable's default value. The refusal names the place and never
//! the value.
//!
//! A variable in such a place must be declared with the type that the schema expects. The library
//! has a rule for that but never runs it (8.0.0-rc.5 drops input values where it combines rules),
//! so a `String` variable with a default value would let a literal through.

use crate::limits::SchemaTypes;
use async_graphql::Pos;
use async_graphql_parser::types::{
    ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql_value::Value;
use claviger_domain::code::ErrorCode;

/// A document contains a secret in its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} takes a secret: {advice}")]
pub struct SecretInDocument {
    /// The argument or variable, with the path inside it. Contains only names of the schema and of
    /// variables.
    pub place: String,
    /// What the client must do instead.
    pub advice: String,
    /// The position in the document.
    pub position: Pos,
}

impl SecretInDocument {
    /// The code that every face returns for this error.
    pub const CODE: ErrorCode = ErrorCode::BadRequest;
}

/// Checks every operation and fragment of a document, each once.
///
/// # Errors
/// The first secret that is written out.
pub fn refuse_written_secrets(
    document: &ExecutableDocument,
    types: &SchemaTypes,
) -> Result<(), SecretInDocument> {
    let search = Search { document, types };
    for (_, operation) in document.operations.iter() {
        search.defaults(&operation.node)?;
        search.set(&operation.node.selection_set.node, Some(types.root(operation.node.ty)))?;
    }
    for fragment in document.fragments.values() {
        let parent = fragment.node.type_condition.node.on.node.as_str();
        search.set(&fragment.node.selection_set.node, Some(parent))?;
    }
    Ok(())
}

struct Search<'a> {
    document: &'a ExecutableDocument,
    types: &'a SchemaTypes,
}

/// A path inside an argument or variable, and the advice.
type Fault = (String, String);

impl Search<'_> {
    fn defaults(&self, operation: &OperationDefinition) -> Result<(), SecretInDocument> {
        for variable in &operation.variable_definitions {
            let variable = &variable.node;
            if let Some(default) = &variable.default_value {
                let ty = crate::limits::innermost(&variable.var_type.node);
                let fault = self.fault(
                    &default.node.clone().into_value(),
                    &ty,
                    format!("${}", variable.name.node),
                );
                refuse(fault, default.pos, |path| format!("the variable \"{path}\""))?;
            }
        }
        Ok(())
    }

    /// The parser bounds the nesting of selections. Spreads are not followed, because each fragment
    /// is checked on its own.
    fn set(&self, set: &SelectionSet, parent: Option<&str>) -> Result<(), SecretInDocument> {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => self.field(&field.node, parent)?,
                Selection::InlineFragment(fragment) => {
                    let on =
                        fragment.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    self.set(&fragment.node.selection_set.node, on.or(parent))?;
                }
                Selection::FragmentSpread(_) => {}
            }
        }
        Ok(())
    }

    fn field(&self, field: &Field, parent: Option<&str>) -> Result<(), SecretInDocument> {
        let Some(shape) =
            parent.and_then(|parent| self.types.field(parent, field.name.node.as_str()))
        else {
            // Not in the schema: validation refuses it, and nothing below can be checked.
            return Ok(());
        };
        for (name, value) in &field.arguments {
            if let Some(ty) = shape.arguments.get(name.node.as_str()) {
                let fault = self.fault(&value.node, ty, name.node.to_string());
                refuse(fault, value.pos, |path| {
                    format!("the argument \"{path}\" of \"{}\"", field.name.node)
                })?;
            }
        }
        self.set(&field.selection_set.node, Some(&shape.output))
    }

    /// The fault in `value`, which stands at `path` where the schema expects a `ty`, if that type
    /// holds a secret.
    fn fault(&self, value: &Value, ty: &str, path: String) -> Option<Fault> {
        if !self.types.holds_secret(ty) {
            return None;
        }
        match value {
            Value::Null => None,
            Value::Variable(name) => self
                .declared_otherwise(name.as_str(), ty)
                .then(|| (path, format!("declare the variable \"${name}\" as \"{ty}\""))),
            Value::List(items) => items.iter().find_map(|item| self.fault(item, ty, path.clone())),
            Value::Object(fields) if !self.types.is_secret(ty) => {
                fields.iter().find_map(|(name, value)| {
                    let ty = self.types.input_field(ty, name.as_str())?;
                    self.fault(value, ty, format!("{path}.{name}"))
                })
            }
            // A scalar in place of an input object is refused too: validation would quote it.
            Value::Object(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_) => Some((
                path,
                "pass it as a variable of the request, not in the text of the query".to_owned(),
            )),
        }
    }

    /// Whether an operation declares the variable with another type. A fragment does not name its
    /// operation, so all operations count.
    fn declared_otherwise(&self, variable: &str, ty: &str) -> bool {
        let mut definitions = self
            .document
            .operations
            .iter()
            .flat_map(|(_, operation)| &operation.node.variable_definitions);
        definitions.any(|definition| {
            definition.node.name.node == variable
                && crate::limits::innermost(&definition.node.var_type.node) != ty
        })
    }
}

fn refuse(
    fault: Option<Fault>,
    position: Pos,
    place: impl FnOnce(String) -> String,
) -> Result<(), SecretInDocument> {
    fault.map_or(Ok(()), |(path, advice)| {
        Err(SecretInDocument { place: place(path), advice, position })
    })
}

#[cfg(test)]
mod tests {
    use super::refuse_written_secrets;
    use crate::limits::SchemaTypes;
    use async_graphql_parser::parse_query;

    const SDL: &str = "
scalar Secret
schema { query: Root mutation: Change }
type Root { me(proof: Secret): User users(any: [Secret!], like: String): [User!]! }
type User { id: ID! check(deep: Outer): Boolean! }
type Change { login(input: Login!): User set(many: [Login!]!, note: String): User plain(input: Plain!): User }
input Login { name: String! password: Secret! inner: Outer }
input Outer { name: String login: Login list: [[Secret]] }
input Plain { name: String! other: Plain }
";

    fn place(query: &str) -> Option<String> {
        let types = SchemaTypes::from_sdl(SDL).expect("the test's schema parses");
        let document = parse_query(query).expect("the test's query parses");
        refuse_written_secrets(&document, &types).err().map(|error| error.to_string())
    }

    #[test]
    fn a_literal_secret_is_refused_anywhere_in_the_document() {
        let cases = [
            ("{ me(proof: \"hunter2\") { id } }", "the argument \"proof\" of \"me\" takes"),
            ("{ me(proof: 12345) { id } }", "the argument \"proof\" of \"me\" takes"),
            ("{ me(proof: hunter2) { id } }", "the argument \"proof\" of \"me\" takes"),
            ("{ me(proof: {hunter: 2}) { id } }", "the argument \"proof\" of \"me\" takes"),
            (
                "{ alias: me(proof: \"\"\"hunter2\"\"\") { id } }",
                "the argument \"proof\" of \"me\" takes",
            ),
            ("{ users(any: [\"hunter2\"]) { id } }", "the argument \"any\" of \"users\" takes"),
            (
                "query($s: Secret!) { users(any: [$s, \"hunter2\"]) { id } }",
                "the argument \"any\" of \"users\" takes",
            ),
            (
                "mutation { login(input: {name: \"a\", password: \"hunter2\"}) { id } }",
                "the argument \"input.password\" of \"login\" takes",
            ),
            (
                "mutation { login(input: \"hunter2\") { id } }",
                "the argument \"input\" of \"login\" takes",
            ),
            (
                "mutation { set(many: [{name: \"a\", password: \"hunter2\"}]) { id } }",
                "the argument \"many.password\" of \"set\" takes",
            ),
            (
                "mutation($p: Secret!) { login(input: {name: \"a\", password: $p, inner: {login: {name: \"b\", password: \"hunter2\"}}}) { id } }",
                "the argument \"input.inner.login.password\" of \"login\" takes",
            ),
            (
                "{ users { check(deep: {list: [[null, \"hunter2\"]]}) } }",
                "the argument \"deep.list\" of \"check\" takes",
            ),
            (
                "{ users { ...F } } fragment F on User { check(deep: {list: [[\"hunter2\"]]}) }",
                "of \"check\"",
            ),
            (
                "{ users { id } } fragment Unused on User { check(deep: {list: [[\"hunter2\"]]}) }",
                "of \"check\"",
            ),
            ("{ ... { me(proof: \"hunter2\") { id } } }", "of \"me\""),
            ("{ ... on Root { me(proof: \"hunter2\") { id } } }", "of \"me\""),
            (
                "query($s: Secret = \"hunter2\") { me(proof: $s) { id } }",
                "the variable \"$s\" takes",
            ),
            (
                "query($s: [Secret!]! = [\"hunter2\"]) { users(any: $s) { id } }",
                "the variable \"$s\" takes",
            ),
            (
                "mutation($i: Login = {name: \"a\", password: \"hunter2\"}) { login(input: $i) { id } }",
                "the variable \"$i.password\" takes",
            ),
            (
                "query A { me { id } } mutation B { login(input: {name: \"a\", password: \"hunter2\"}) { id } }",
                "of \"login\"",
            ),
        ];
        for (query, expected) in cases {
            let message = place(query).unwrap_or_else(|| panic!("accepted: {query}"));
            assert!(message.contains(expected), "{query}: {message}");
            assert!(message.contains("pass it as a variable of the request"), "{message}");
            assert!(!message.contains("hunter"), "the message quotes the value: {message}");
        }
    }

    #[test]
    fn a_variable_of_another_type_is_refused() {
        let cases = [
            "query($s: String!) { me(proof: $s) { id } }",
            "query($s: String = \"hunter2\") { me(proof: $s) { id } }",
            "query($s: [String!]!) { users(any: $s) { id } }",
            "mutation($s: String = \"hunter2\") { login(input: {name: \"a\", password: $s}) { id } }",
            "mutation($i: Plain = {name: \"hunter2\"}) { login(input: $i) { id } }",
            "query($s: String = \"hunter2\") { users { ...F } } fragment F on User { check(deep: {list: [[$s]]}) }",
        ];
        for query in cases {
            let message = place(query).unwrap_or_else(|| panic!("accepted: {query}"));
            assert!(message.contains("takes a secret: declare the variable \"$"), "{message}");
            assert!(!message.contains("hunter"), "{message}");
        }
    }

    #[test]
    fn variables_nulls_and_values_that_are_not_secret_pass() {
        let cases = [
            "query($s: Secret) { me(proof: $s) { id } }",
            "query($s: Secret = null) { me(proof: $s) { id } }",
            "{ me(proof: null) { id } }",
            "{ users(like: \"text\") { id } }",
            "mutation($i: Login!) { login(input: $i) { id } }",
            "mutation($p: Secret!) { login(input: {name: \"a\", password: $p}) { id } }",
            "mutation { plain(input: {name: \"a\", other: {name: \"b\"}}) { id } }",
            "mutation($p: Secret!) { set(many: [{name: \"a\", password: $p}], note: \"text\") { id } }",
            // Not in the schema: left to validation.
            "{ nothing(proof: \"text\") { id } }",
        ];
        for query in cases {
            assert_eq!(place(query), None, "{query}");
        }
    }
}

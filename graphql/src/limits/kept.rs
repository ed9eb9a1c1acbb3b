//! How many bytes an operation keeps of its request while it runs.

use async_graphql::Request;
use async_graphql_parser::Positioned;
use async_graphql_parser::types::{
    Directive, ExecutableDocument, FragmentDefinition, Selection, SelectionSet, VariableDefinition,
};
use async_graphql_value::{ConstValue, Value};

/// Bytes that an operation takes besides its document and its variables; measured, with its part of
/// a socket.
const OPERATION: usize = 6 * 1024;

/// Bytes of a name besides its text: two counters, and what the allocator adds.
const NAME: usize = 32;

/// Bytes of a value besides its text.
const VALUE: usize = size_of::<Value>() + NAME;

/// About how many bytes an operation keeps of its request while it runs. A short text may have many
/// fields, so they are counted, not the text.
pub fn kept_bytes(request: &mut Request) -> usize {
    let variables = request.variables.iter().map(|(name, value)| name.len() + of_value(value));
    let variables = variables.sum::<usize>();
    let document = request.parsed_query().map_or(0, of_document);
    OPERATION.saturating_add(variables).saturating_add(document)
}

fn of_document(document: &ExecutableDocument) -> usize {
    let operations = document.operations.iter().map(|(_, operation)| {
        let defined = operation.node.variable_definitions.len();
        defined * (size_of::<VariableDefinition>() + 2 * NAME)
            + of_set(&operation.node.selection_set.node)
    });
    let fragments = document.fragments.values().map(|fragment| {
        size_of::<FragmentDefinition>() + 2 * NAME + of_set(&fragment.node.selection_set.node)
    });
    operations.sum::<usize>() + fragments.sum::<usize>()
}

/// Recursion is safe here and below: the document's depth was checked before.
fn of_set(set: &SelectionSet) -> usize {
    let items = set.items.iter().map(|selection| {
        let inner = match &selection.node {
            Selection::Field(field) => {
                let field = &field.node;
                let arguments = field
                    .arguments
                    .iter()
                    .map(|(name, value)| name.node.len() + 2 * NAME + of_written(&value.node));
                let alias = field.alias.as_ref().map_or(0, |alias| NAME + alias.node.len());
                NAME + field.name.node.len()
                    + alias
                    + arguments.sum::<usize>()
                    + of_directives(&field.directives)
                    + of_set(&field.selection_set.node)
            }
            Selection::FragmentSpread(spread) => {
                NAME + spread.node.fragment_name.node.len() + of_directives(&spread.node.directives)
            }
            Selection::InlineFragment(inline) => {
                2 * NAME
                    + of_directives(&inline.node.directives)
                    + of_set(&inline.node.selection_set.node)
            }
        };
        size_of::<Positioned<Selection>>() + inner
    });
    items.sum()
}

fn of_directives(directives: &[Positioned<Directive>]) -> usize {
    let of = |directive: &Positioned<Directive>| {
        let arguments = directive.node.arguments.iter();
        let arguments =
            arguments.map(|(name, value)| name.node.len() + 2 * NAME + of_written(&value.node));
        size_of::<Positioned<Directive>>() + 2 * NAME + arguments.sum::<usize>()
    };
    directives.iter().map(of).sum()
}

/// A value in the document.
fn of_written(value: &Value) -> usize {
    VALUE
        + match value {
            Value::Variable(name) | Value::Enum(name) => name.len(),
            Value::String(text) => text.capacity(),
            Value::Binary(bytes) => bytes.len(),
            Value::List(items) => items.iter().map(of_written).sum(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| NAME + name.len() + of_written(value)).sum()
            }
            Value::Null | Value::Number(_) | Value::Boolean(_) => 0,
        }
}

fn of_value(value: &ConstValue) -> usize {
    VALUE
        + match value {
            ConstValue::String(text) => text.capacity(),
            ConstValue::Enum(name) => name.len(),
            ConstValue::Binary(bytes) => bytes.len(),
            ConstValue::List(items) => items.iter().map(of_value).sum(),
            ConstValue::Object(fields) => {
                fields.iter().map(|(name, value)| NAME + name.len() + of_value(value)).sum()
            }
            ConstValue::Null | ConstValue::Number(_) | ConstValue::Boolean(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::Variables;
    use serde_json::json;

    fn bytes(query: &str, variables: serde_json::Value) -> usize {
        kept_bytes(&mut Request::new(query).variables(Variables::from_json(variables)))
    }

    #[test]
    fn fields_and_variables_count_and_comments_do_not() {
        let small = bytes("{ a }", json!({}));
        assert!((OPERATION..OPERATION + 2_048).contains(&small), "{small}");
        assert_eq!(bytes(&format!("{{ a }} # {}", "x".repeat(10_000)), json!({})), small);
        let many = bytes(&format!("{{ a {{ {} }} }}", "b ".repeat(2_000)), json!({}));
        assert!(many > small + 2_000 * size_of::<Positioned<Selection>>(), "{many}");
        let texts = json!({ "t": vec!["x".repeat(1_000); 10] });
        let variables = bytes("query($t: [String!]) { a(t: $t) }", texts);
        assert!((small + 10_000..small + 20_000).contains(&variables), "{variables}");
        let written = format!("{{ a(t: {:?}) }}", "x".repeat(1_000));
        assert!(bytes(&written, json!({})) > small + 1_000);
    }
}

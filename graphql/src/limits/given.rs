//! What a variable holds in a request.

use async_graphql::{Name, Variables};
use async_graphql_parser::types::OperationDefinition;
use async_graphql_value::ConstValue;

/// The value of a variable, or its default.
pub(super) fn given<'a>(
    operation: &'a OperationDefinition,
    variables: &'a Variables,
    name: &Name,
) -> Option<&'a ConstValue> {
    let default = || {
        let definitions = &operation.variable_definitions;
        let definition = definitions.iter().find(|variable| variable.node.name.node == *name)?;
        definition.node.default_value.as_ref().map(|value| &value.node)
    };
    variables.get(name).or_else(default)
}

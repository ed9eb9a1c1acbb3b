//! Secrets among the variables of a request, in memory that is wiped.
//!
//! The library copies a variable for each argument it fills and drops the copies as they are. Here
//! a secret becomes bytes that all copies share and that are wiped with the last of them.

use async_graphql::{Value, Variables};
use async_graphql_parser::types::OperationDefinition;
use bytes::Bytes;
use claviger_graphql::limits::{SchemaTypes, innermost};
use zeroize::Zeroizing;

/// Wraps the secrets in the operation's variables. Call it after the variables were checked.
pub(super) fn wrap(
    variables: &mut Variables,
    operation: &OperationDefinition,
    types: &SchemaTypes,
) {
    for variable in &operation.variable_definitions {
        let ty = innermost(&variable.node.var_type.node);
        if types.holds_secret(&ty)
            && let Some(value) = variables.get_mut(&variable.node.name.node)
        {
            within(value, &ty, types);
        }
    }
}

fn within(value: &mut Value, ty: &str, types: &SchemaTypes) {
    match value {
        Value::String(text) if types.is_secret(ty) => {
            let bytes = Zeroizing::new(std::mem::take(text).into_bytes());
            *value = Value::Binary(Bytes::from_owner(bytes));
        }
        Value::List(items) => items.iter_mut().for_each(|item| within(item, ty, types)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(ty) = types.input_field(ty, name).filter(|ty| types.holds_secret(ty)) {
                    within(value, ty, types);
                }
            }
        }
        Value::Null
        | Value::Number(_)
        | Value::String(_)
        | Value::Boolean(_)
        | Value::Binary(_)
        | Value::Enum(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql_parser::parse_query;
    use serde_json::json;

    const SDL: &str = "
scalar Secret
schema { query: Query }
type Query { set(inputs: [Login!], one: Secret, note: String): Int }
input Login { name: String! password: Secret! more: Login }
";

    fn is_wrapped(value: &Value, text: &str) -> bool {
        matches!(value, Value::Binary(bytes) if bytes.as_ref() == text.as_bytes())
    }

    #[test]
    fn every_secret_is_wrapped_at_any_depth_and_nothing_else() {
        let types = SchemaTypes::from_sdl(SDL).unwrap();
        let query =
            "query($a: [Login!], $b: Secret, $c: String) { set(inputs: $a, one: $b, note: $c) }";
        let document = parse_query(query).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let login = json!({ "name": "n", "password": "p1", "more": { "password": "p2" } });
        let mut variables =
            Variables::from_json(json!({ "a": [login], "b": "p3", "c": "note", "d": "p4" }));
        wrap(&mut variables, &operation.node, &types);
        let get = |name: &str| variables.get(name).unwrap();
        let Value::List(items) = get("a") else { panic!("a list stays one") };
        let Value::Object(login) = &items[0] else { panic!("an object stays one") };
        assert_eq!(login["name"], Value::String("n".to_owned()));
        assert!(is_wrapped(&login["password"], "p1"));
        let Value::Object(more) = &login["more"] else { panic!("an object stays one") };
        assert!(is_wrapped(&more["password"], "p2") && is_wrapped(get("b"), "p3"));
        for (name, text) in [("c", "note"), ("d", "p4")] {
            assert_eq!(*get(name), Value::String(text.to_owned()));
        }
    }
}

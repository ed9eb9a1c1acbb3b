//! The recorded shapes, and whether an answer has one.

use serde_json::Value;

pub(super) fn recorded() -> Value {
    serde_json::from_str(include_str!("recorded.json")).unwrap()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// What the value lacks of the shape. More may be there.
pub(super) fn lacks(value: &Value, shape: &Value, at: &str) -> Vec<String> {
    match shape {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, shape)| match value.get(name) {
                Some(value) => lacks(value, shape, &format!("{at}.{name}")),
                None => vec![format!("{at}.{name} is missing")],
            })
            .collect(),
        Value::Array(shapes) => {
            let Some(values) = value.as_array() else {
                return vec![format!("{at} is no list: {value}")];
            };
            let Some(shape) = shapes.first() else { return Vec::new() };
            if values.is_empty() {
                return vec![format!("{at} is empty")];
            }
            values
                .iter()
                .enumerate()
                .flat_map(|(n, value)| lacks(value, shape, &format!("{at}[{n}]")))
                .collect()
        }
        Value::String(word) => {
            let found = kind(value);
            // A whole number of dollars was recorded, and null where there was nothing yet.
            let fits = found == word
                || (word == "int" && found == "float" && at.ends_with("total_cost_usd"))
                || (word == "null" && found == "string");
            if fits { Vec::new() } else { vec![format!("{at} is {found}, not {word}")] }
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => {
            vec![format!("{at}: {other} is no shape")]
        }
    }
}

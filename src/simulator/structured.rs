//! Text that satisfies a JSON schema, for requests with `output_config.format`, as a real model's
//! answer must.

use serde_json::{Map, Value, json};

/// Maximum nesting followed; a schema that refers to itself ends there.
const MAX_DEPTH: usize = 16;

/// Maximum number of elements of an array, unless `minItems` requires more.
const MAX_ITEMS: usize = 8;

/// An instance of the schema, the same for the same schema. A list of objects with an enum gets one
/// element for each value of the enum, so that a plan requested from a manager names every worker
/// once.
pub(super) fn instance(schema: &Value) -> Value {
    Maker { root: schema }.make(schema, "value", 0, 0)
}

struct Maker<'a> {
    root: &'a Value,
}

impl Maker<'_> {
    /// `name` is the property's name, `turn` the index in the nearest list.
    fn make(&self, schema: &Value, name: &str, turn: usize, depth: usize) -> Value {
        if depth > MAX_DEPTH {
            return Value::Null;
        }
        if let Some(fixed) = schema.get("const") {
            return fixed.clone();
        }
        if let Some(choice) = choices(schema).and_then(|all| all.get(turn % all.len().max(1))) {
            return choice.clone();
        }
        let other = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| self.root.pointer(path.trim_start_matches('#')))
            .or_else(|| {
                ["anyOf", "oneOf", "allOf"]
                    .iter()
                    .find_map(|of| schema.get(of)?.as_array()?.first())
            });
        if let Some(other) = other {
            return self.make(other, name, turn, depth + 1);
        }
        match kind(schema) {
            "object" => self.object(schema, turn, depth),
            "array" => self.array(schema, name, depth),
            "integer" | "number" => {
                schema.get("minimum").cloned().unwrap_or_else(|| json!(turn + 1))
            }
            "boolean" => Value::Bool(false),
            "null" => Value::Null,
            _ => Value::String(format!("Simulated {name} {}", turn + 1)),
        }
    }

    fn object(&self, schema: &Value, turn: usize, depth: usize) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        let made = properties
            .into_iter()
            .flatten()
            .map(|(name, of)| (name.clone(), self.make(of, name, turn, depth + 1)));
        Value::Object(made.collect::<Map<_, _>>())
    }

    fn array(&self, schema: &Value, name: &str, depth: usize) -> Value {
        let Some(items) = schema.get("items") else { return json!([]) };
        let number = |key: &str| {
            schema.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
        };
        let fields = items.get("properties").and_then(Value::as_object).into_iter().flatten();
        let wanted = fields.filter_map(|(_, of)| choices(of)).map(Vec::len).max().unwrap_or(1);
        let least = number("minItems").unwrap_or(0);
        let count = wanted
            .min(MAX_ITEMS)
            .max(least)
            .min(number("maxItems").unwrap_or(usize::MAX))
            .min(1000);
        (0..count).map(|turn| self.make(items, name, turn, depth + 1)).collect()
    }
}

fn choices(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("enum").and_then(Value::as_array).filter(|all| !all.is_empty())
}

/// The type, or the first of several types.
fn kind(schema: &Value) -> &str {
    let kind = schema.get("type");
    let first =
        || kind.and_then(Value::as_array).and_then(|all| all.first()).and_then(Value::as_str);
    let said = kind.and_then(Value::as_str).or_else(first);
    said.unwrap_or(if schema.get("properties").is_some() { "object" } else { "string" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_every_worker_once() {
        let schema = json!({"type": "object", "required": ["subtasks"], "properties": {"subtasks": {"type": "array", "items": {
            "type": "object", "properties": {"worker": {"enum": ["Ann", "Bob"]}, "task": {"type": "string"}}
        }}}});
        let expected = json!({"subtasks": [
            {"worker": "Ann", "task": "Simulated task 1"},
            {"worker": "Bob", "task": "Simulated task 2"},
        ]});
        assert_eq!(instance(&schema), expected);
    }

    #[test]
    fn odd_schemas_end() {
        let endless = json!({"properties": {"next": {"$ref": "#"}}});
        assert!(instance(&endless).is_object());
        let wide = json!({"type": "array", "minItems": 2, "items": {"type": ["string", "null"]}});
        assert_eq!(instance(&wide), json!(["Simulated value 1", "Simulated value 2"]));
        let picked = json!({"anyOf": [{"const": 7}, {"type": "string"}]});
        assert_eq!(instance(&picked), json!(7));
        assert_eq!(instance(&json!(true)), json!("Simulated value 1"));
    }
}

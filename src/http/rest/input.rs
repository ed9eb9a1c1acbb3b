//! Reads the body of a request field by field. What has another shape is collected, so that one
//! answer names all of it.

use super::problem::{Fault, Refusal};
use claviger_domain::secret::SecretText;
use serde_json::{Map, Value, json};
use zeroize::Zeroize as _;

/// Fields whose texts are never repeated in an answer, and are wiped.
const SECRETS: [&str; 4] = ["password", "api_key", "auth_token", "refresh_token"];
/// Most characters of a text that an answer repeats.
const SHOWN_MAX: usize = 200;

/// An object of the body.
pub(super) struct Fields {
    values: Map<String, Value>,
    /// The object as an answer repeats it.
    shown: Value,
    /// Where the object stands.
    at: Vec<Value>,
    faults: Vec<Fault>,
}

impl Drop for Fields {
    fn drop(&mut self) {
        for name in SECRETS {
            if let Some(Value::String(text)) = self.values.get_mut(name) {
                text.zeroize();
            }
        }
    }
}

impl Fields {
    /// The whole body.
    pub(super) fn of_body(body: &[u8]) -> Result<Self, Refusal> {
        let at = vec![json!("body")];
        // Some programs begin a file with a byte order mark, and send it.
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        match serde_json::from_slice(body) {
            Ok(Value::Object(values)) => Ok(Self::of(values, at)),
            Ok(other) => Err(Refusal::Invalid(vec![no_object(at, &other)])),
            Err(error) => Err(Refusal::Invalid(vec![Fault {
                kind: "json_invalid",
                loc: vec![json!("body"), json!(error.column())],
                msg: "JSON decode error".to_owned(),
                input: json!({}),
            }])),
        }
    }

    fn of(values: Map<String, Value>, at: Vec<Value>) -> Self {
        let shown = object_shown(&values);
        Self { values, shown, at, faults: Vec::new() }
    }

    fn fault(&mut self, name: &str, kind: &'static str, msg: impl Into<String>, input: Value) {
        let mut loc = self.at.clone();
        loc.push(json!(name));
        self.faults.push(Fault { kind, loc, msg: msg.into(), input });
    }

    fn missing(&mut self, name: &str) {
        self.fault(name, "missing", "Field required", self.shown.clone());
    }

    /// `null` counts as absent.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn maybe_text(&mut self, name: &str) -> Option<String> {
        let value = self.take(name)?;
        if let Value::String(text) = value {
            return Some(text);
        }
        self.fault(name, "string_type", "Input should be a valid string", shown(name, &value));
        None
    }

    /// An empty text where there is none: [`Self::done`] refuses it.
    pub(super) fn text(&mut self, name: &str) -> String {
        match self.values.get(name) {
            None => {
                self.missing(name);
                String::new()
            }
            Some(Value::Null) => {
                self.fault(name, "string_type", "Input should be a valid string", Value::Null);
                String::new()
            }
            Some(_) => self.maybe_text(name).unwrap_or_default(),
        }
    }

    pub(super) fn secret(&mut self, name: &str) -> SecretText {
        SecretText::new(self.text(name))
    }

    pub(super) fn maybe_flag(&mut self, name: &str) -> Option<bool> {
        let value = self.take(name)?;
        if let Value::Bool(flag) = value {
            return Some(flag);
        }
        self.fault(name, "bool_type", "Input should be a valid boolean", shown(name, &value));
        None
    }

    pub(super) fn maybe_whole(&mut self, name: &str) -> Option<u32> {
        let value = self.take(name)?;
        let whole = value.as_u64().and_then(|whole| u32::try_from(whole).ok());
        if whole.is_none() {
            let input = shown(name, &value);
            self.fault(name, "int_type", "Input should be a valid integer, 0 or more", input);
        }
        whole
    }

    pub(super) fn maybe_object(&mut self, name: &str) -> Option<Value> {
        let value = self.take(name)?;
        if value.is_object() {
            return Some(value);
        }
        self.fault(name, "dict_type", "Input should be a valid dictionary", shown(name, &value));
        None
    }

    /// The elements of a list with their places; `None` if it is absent.
    pub(super) fn maybe_list(&mut self, name: &str) -> Option<Vec<Value>> {
        let value = self.take(name)?;
        if let Value::Array(values) = value {
            return Some(values);
        }
        self.fault(name, "list_type", "Input should be a valid list", shown(name, &value));
        None
    }

    pub(super) fn maybe_texts(&mut self, name: &str) -> Option<Vec<String>> {
        let values = self.maybe_list(name)?;
        let mut texts = Vec::with_capacity(values.len());
        for (place, value) in values.into_iter().enumerate() {
            if let Value::String(text) = value {
                texts.push(text);
            } else {
                let mut loc = self.at.clone();
                loc.extend([json!(name), json!(place)]);
                let (msg, input) = ("Input should be a valid string".to_owned(), shown("", &value));
                self.faults.push(Fault { kind: "string_type", loc, msg, input });
            }
        }
        Some(texts)
    }

    /// Reads an object inside this one.
    pub(super) fn inside<T>(
        &mut self,
        at: &[Value],
        value: Value,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let mut loc = self.at.clone();
        loc.extend_from_slice(at);
        let Value::Object(values) = value else {
            self.faults.push(no_object(loc, &value));
            return None;
        };
        let mut fields = Self::of(values, loc);
        let read = read(&mut fields);
        self.faults.append(&mut fields.faults);
        Some(read)
    }

    /// A required object.
    pub(super) fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if let Some(value) = self.take(name) {
            return self.inside(&[json!(name)], value, read);
        }
        self.missing(name);
        None
    }

    /// A required list of objects.
    pub(super) fn objects<T>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&mut Self) -> T,
    ) -> Vec<T> {
        let is_there = self.values.get(name).is_some_and(|value| !value.is_null());
        if !is_there {
            self.missing(name);
            return Vec::new();
        }
        let values = self.maybe_list(name).unwrap_or_default();
        let each = values.into_iter().enumerate();
        each.filter_map(|(place, value)| {
            self.inside(&[json!(name), json!(place)], value, &mut read)
        })
        .collect()
    }

    /// A value that this face refuses although its shape is right.
    pub(super) fn refuse(&mut self, name: &str, msg: &str, input: Value) {
        self.fault(name, "value_error", msg, input);
    }

    pub(super) fn is_given(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| !value.is_null())
    }

    /// # Errors
    /// 422 with every fault.
    pub(super) fn done(&mut self) -> Result<(), Refusal> {
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Invalid(std::mem::take(&mut self.faults)))
        }
    }
}

fn no_object(loc: Vec<Value>, found: &Value) -> Fault {
    let msg = "Input should be a valid dictionary or object to extract fields from".to_owned();
    Fault { kind: "model_attributes_type", loc, msg, input: shown("", found) }
}

/// What an answer repeats of the input: no secret, and no more than helps.
fn shown(name: &str, value: &Value) -> Value {
    if SECRETS.contains(&name) {
        return json!("[REDACTED]");
    }
    match value {
        Value::Object(fields) => object_shown(fields),
        Value::Array(values) => values.iter().take(20).map(|value| shown("", value)).collect(),
        // A key that stands in a wrong field is still a key.
        Value::String(text) if text.contains("sk-ant-") => json!("[REDACTED]"),
        Value::String(text) => json!(cut(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn object_shown(fields: &Map<String, Value>) -> Value {
    fields.iter().take(20).map(|(name, value)| (cut(name), shown(name, value))).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

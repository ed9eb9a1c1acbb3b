//! Sizes of values, as JSON and in memory.

use claviger_application::RunDetail;
use claviger_projections::run_feed::{definition_bytes, step_bytes};
use serde_json::Value;

/// The length of a value as JSON.
pub(crate) trait JsonSize {
    /// In bytes; numbers are estimated.
    fn json_size(&self) -> usize;
}

impl JsonSize for str {
    fn json_size(&self) -> usize {
        self.bytes().map(escaped).sum::<usize>() + 2
    }
}

impl JsonSize for String {
    fn json_size(&self) -> usize {
        self.as_str().json_size()
    }
}

impl<T: JsonSize + ?Sized> JsonSize for &T {
    fn json_size(&self) -> usize {
        (**self).json_size()
    }
}

impl JsonSize for Value {
    fn json_size(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 5,
            Self::Number(_) => 20,
            Self::String(text) => text.json_size(),
            Self::Array(items) => items.iter().map(|item| item.json_size() + 1).sum::<usize>() + 2,
            Self::Object(fields) => {
                let of = |(name, value): (&String, &Self)| name.json_size() + value.json_size() + 2;
                fields.iter().map(of).sum::<usize>() + 2
            }
        }
    }
}

const fn escaped(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0x00..=0x1f => 6,
        _ => 1,
    }
}

/// The length of a value as JSON, in bytes; numbers are estimated.
pub(crate) fn of_json(value: &Value) -> usize {
    value.json_size()
}

/// About how many bytes of memory a run takes.
pub(crate) fn of_run(detail: &RunDetail) -> usize {
    let definition = &detail.view.run.definition;
    definition.as_ref().map_or(0, definition_bytes) + of_steps(detail)
}

/// About how many bytes of memory the steps of a run take, with the text so far.
pub(crate) fn of_steps(detail: &RunDetail) -> usize {
    let steps = detail.view.run.steps.iter().map(step_bytes);
    let partial = detail.partial.iter().map(|partial| partial.text.len());
    steps.sum::<usize>() + partial.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_size_is_never_less_than_the_json_that_is_written() {
        let all: String =
            (0..=0x7f_u8).map(char::from).chain("äß\u{1f511}\u{2028}".chars()).collect();
        let values = [
            json!(null),
            json!([true, false, [], {}, -1.5e-300, u64::MAX, i64::MIN]),
            json!(all),
            json!({ "a": [{ "b": all, "c": null }], all.as_str(): 1 }),
        ];
        for value in values {
            let written = value.to_string().len();
            assert!(of_json(&value) >= written, "{value}");
            assert!(of_json(&value) <= 2 * written + 40, "{value}");
        }
        assert_eq!(all.json_size(), json!(all).to_string().len(), "texts are exact");
    }
}

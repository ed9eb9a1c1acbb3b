//! Answers that must be JSON: read as they are, or extracted from surrounding text, which models
//! write despite the prompt.

use serde::de::DeserializeOwned;

/// An answer in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found<T> {
    /// The decoded answer.
    pub(super) value: T,
    /// Other text surrounded it.
    pub(super) is_in_text: bool,
}

/// Most positions at which JSON is searched for, so that a text of many braces takes bounded time.
const MAX_POSITIONS: usize = 64;

/// Reads an answer: the whole text, else the first object in it that fits (a code fence is skipped
/// like other text).
///
/// # Errors
/// What is wrong with the whole text, in words for the model.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<Found<T>, String> {
    let text = text.trim();
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(Found { value, is_in_text: false }),
        Err(error) => error,
    };
    let starts = text.match_indices('{').take(MAX_POSITIONS).filter_map(|(at, _)| text.get(at..));
    for rest in starts {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
        if let Some(Ok(value)) = values.next() {
            return Ok(Found { value, is_in_text: true });
        }
    }
    Err(format!("the answer isn't JSON of the schema that was given: {error}"))
}

//! Answers that must be JSON: read as they are, or taken out of the text around them, which models write although they were told not to.

use serde::de::DeserializeOwned;

/// An answer that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found<T> {
    /// The value.
    pub(super) value: T,
    /// It stood in other text.
    pub(super) is_in_text: bool,
}

/// Most places at which JSON is looked for in a text: one of many braces must not take for ever.
const MOST_LOOKS: usize = 64;

/// Reads an answer: the whole text, else what a code fence holds, else the first object in it that fits.
///
/// # Errors
/// What is wrong with the text as it stands, for the model to read.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<Found<T>, String> {
    let text = text.trim();
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(Found { value, is_in_text: false }),
        Err(error) => error,
    };
    let starts = text.match_indices('{').take(MOST_LOOKS).filter_map(|(at, _)| text.get(at..));
    for rest in starts {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
        if let Some(Ok(value)) = values.next() {
            return Ok(Found { value, is_in_text: true });
        }
    }
    Err(format!("the answer isn't JSON of the schema that was given: {error}"))
}

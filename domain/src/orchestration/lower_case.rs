//! Error codes in facts are in `snake_case`, like all words there.

use crate::code::ErrorCode;
use serde::{Deserialize as _, Deserializer, Serializer, de};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
pub(super) fn serialize<S: Serializer>(code: &ErrorCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&code.as_str().to_ascii_lowercase())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ErrorCode, D::Error> {
    let word = String::deserialize(deserializer)?;
    let known =
        ErrorCode::ALL.iter().copied().find(|code| code.as_str().to_ascii_lowercase() == word);
    known.ok_or_else(|| de::Error::custom("not a code"))
}

//! The schema's scalars.

use async_graphql::{InputType, InputValueError, InputValueResult, Scalar, ScalarType, Value};
use claviger_domain::secret::SecretText;
use claviger_domain::timestamp::Timestamp;

/// An integer of the schema; a greater number is shown as the maximum.
pub(crate) fn int(count: impl TryInto<i32>) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

/// A duration as `Int`; null where it has more milliseconds than that holds, 24.8 days.
pub(crate) fn millis(ms: u64) -> Option<i32> {
    ms.try_into().ok()
}

/// A point in time, RFC 3339, UTC, with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateTime(pub(crate) Timestamp);

#[Scalar(
    name = "DateTime",
    specified_by_url = "https://scalars.graphql.org/andimarek/date-time.html"
)]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        Timestamp::parse(text).map(Self).ok_or_else(|| {
            InputValueError::custom(
                "not a valid time: use RFC 3339 with a time zone, such as 2026-11-23T15:00:00Z, from 1970 to 9999",
            )
        })
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// Opaque text for resuming. Only the server interprets its order and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor(pub(crate) String);

#[Scalar(name = "Cursor")]
impl ScalarType for Cursor {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = value else { return Err(InputValueError::expected_type(value)) };
        Ok(Self(text))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// A log position or stream version: an unsigned 64-bit integer as decimal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position(pub(crate) u64);

#[Scalar(name = "Position")]
impl ScalarType for Position {
    fn parse(value: Value) -> InputValueResult<Self> {
        unsigned(value, "a position").map(Self)
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// An unsigned 64-bit integer as decimal text: tokens, or nano-dollars (10^-9 USD; every list price
/// is a whole number of them per token).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UInt64(pub(crate) u64);

#[Scalar(name = "UInt64")]
impl ScalarType for UInt64 {
    fn parse(value: Value) -> InputValueResult<Self> {
        unsigned(value, "a count").map(Self)
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

fn unsigned<T: InputType>(value: Value, what: &str) -> Result<u64, InputValueError<T>> {
    let read = if let Value::String(text) = &value {
        text.parse().ok().filter(|_| !text.starts_with('+'))
    } else if let Value::Number(number) = &value {
        number.as_u64()
    } else {
        return Err(InputValueError::expected_type(value));
    };
    read.ok_or_else(|| {
        InputValueError::custom(format!(
            "not {what}: use an unsigned 64-bit integer as decimal text, such as \"42\""
        ))
    })
}

/// Write-only. Accepted only from variables: literals and variable defaults are refused before
/// execution.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) SecretText);

#[Scalar(name = "Secret")]
impl ScalarType for Secret {
    fn parse(value: Value) -> InputValueResult<Self> {
        let text = match value {
            Value::String(text) => Some(text),
            // As a face passes it that wipes its copy (`secret_variables`).
            Value::Binary(bytes) => String::from_utf8(bytes.to_vec()).ok(),
            Value::Null
            | Value::Number(_)
            | Value::Boolean(_)
            | Value::Enum(_)
            | Value::List(_)
            | Value::Object(_) => None,
        };
        // The library's own error would quote the value.
        let text = text.ok_or_else(|| InputValueError::custom("a secret must be text"))?;
        Ok(Self(SecretText::new(text)))
    }

    fn to_value(&self) -> Value {
        Value::Null
    }
}

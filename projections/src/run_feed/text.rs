//! Rows of text, decoded.

use claviger_domain::id::StepId;
use serde::{Deserialize, Serialize};

/// A piece of an attempt's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaItem {
    /// The step of the attempt.
    pub step: StepId,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// UTF-8 bytes from the start of the attempt's text to this piece.
    pub offset: u64,
    /// The text, never empty.
    pub text: String,
}

/// A row of text after an event, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedDeltas {
    /// Version of the event before the row.
    pub v: u64,
    /// Number of the row after that event, from 1.
    pub d: u64,
    /// The pieces of text, in the order of their arrival.
    pub items: Vec<DeltaItem>,
}

/// The JSON that is sealed into a row (`ops/docs/FORMATS.md`, section 3).
///
/// # Errors
/// None for these types.
pub fn to_json(items: &[DeltaItem]) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(items)
}

/// Decodes the JSON that was sealed into a row.
///
/// # Errors
/// For anything that [`to_json`] would not have made.
pub fn from_json(json: &[u8]) -> serde_json::Result<Vec<DeltaItem>> {
    serde_json::from_slice(json)
}

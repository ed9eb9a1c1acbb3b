//! Rows of text, opened.

use claviger_domain::id::StepId;
use serde::{Deserialize, Serialize};

/// A piece of an attempt's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaItem {
    /// The step.
    pub step: StepId,
    /// Which attempt.
    pub attempt: u32,
    /// Where it begins: UTF-8 bytes from the start of the attempt's text.
    pub offset: u64,
    /// The text, never empty.
    pub text: String,
}

/// A row of text after an event, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedDeltas {
    /// Version of the event.
    pub v: u64,
    /// Which row after it, from 1.
    pub d: u64,
    /// What is in it, in the order in which it came.
    pub items: Vec<DeltaItem>,
}

/// What is sealed into a row (`FORMATS.md`, section 3).
///
/// # Errors
/// None that these types can give.
pub fn to_json(items: &[DeltaItem]) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(items)
}

/// What was sealed into a row.
///
/// # Errors
/// For anything that [`to_json`] wouldn't have made.
pub fn from_json(json: &[u8]) -> serde_json::Result<Vec<DeltaItem>> {
    serde_json::from_slice(json)
}

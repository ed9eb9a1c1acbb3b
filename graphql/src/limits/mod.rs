//! Bounds of one request, checked before anything is executed.
//!
//! There are three steps, and each makes the next one safe on hostile input. [`Limits::check_text`]
//! reads the bytes once and bounds tokens and nesting, so that the recursive parser cannot exhaust
//! its stack. [`Limits::check_document`] first measures every fragment once (`expansion`), so that
//! fragments that double each other are refused without being expanded. Only then does it walk the
//! operations as they would run (`measure`).

mod bounds;
mod check;
mod expansion;
mod measure;
mod tokens;
mod types;

#[cfg(test)]
mod tests;

pub use bounds::{LimitError, Limits};
pub(crate) use types::innermost;
pub use types::{FieldShape, SchemaTypes, SchemaTypesError};

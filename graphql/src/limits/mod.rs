//! Bounds of one request, checked before anything is executed.
//!
//! There are three steps, and each makes the next one safe on hostile input. [`Limits::check_text`]
//! reads the bytes once and bounds tokens and nesting, so that the recursive parser cannot exhaust
//! its stack. [`Limits::check_document`] first measures every fragment once (`expansion`), so that
//! fragments that double each other are refused without being expanded. Only then does it walk the
//! operations as they would run (`measure`, with the points of [`weights`]). At last
//! [`Limits::check_inputs`] measures what the arguments hold ([`inputs`]).
//!
//! `tests/bounds.rs` walks the schema: an input without a bound, or a list or JSON field without a
//! weight, fails it.

mod bounds;
mod check;
mod expansion;
mod given;
pub mod inputs;
mod kept;
mod measure;
mod tokens;
mod types;
pub mod weights;

#[cfg(test)]
mod tests;

pub use bounds::{Cost, LimitError, Limits};
pub use kept::kept_bytes;
pub use types::{FieldShape, SchemaTypes, SchemaTypesError, innermost};

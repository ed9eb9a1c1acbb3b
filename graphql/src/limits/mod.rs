//! How much one request may ask for, judged before anything is executed.
//!
//! Three steps, each cheap enough to be safe on hostile input because of the one before it: [`Limits::check_text`] reads the
//! bytes once and bounds tokens and nesting, so that the recursive parser can't exhaust its stack; [`Limits::check_document`]
//! first weighs every fragment once (`expansion`), so that fragments which double each other are refused without being
//! expanded; only then are the operations walked as they would run (`measure`).

mod bounds;
mod expansion;
mod measure;
mod tokens;
mod types;

#[cfg(test)]
mod tests;

pub use bounds::{LimitError, Limits};
pub(crate) use types::innermost;
pub use types::{FieldShape, SchemaTypes, SchemaTypesError};

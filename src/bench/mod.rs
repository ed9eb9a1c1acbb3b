//! Measurements against a baseline of the same run: what `claviger bench` prints.
//!
//! A store is measured on a [`Trial`]: a throw-away store together with the bare means it is made of. Both are given the same rows in the
//! same batches, so that a ratio says what the store's promises cost and little about the machine.

mod append;
mod batches;
mod error;
mod figures;
mod load;
mod trial;

pub use append::{AppendBench, Measured, measure};
pub use batches::Batches;
pub use error::BenchError;
pub use figures::{Range, Sample, Spread};
pub use load::{CONTENT_BYTES, run};
pub use trial::{Bare, Ground, Trial};

//! The aggregates, folded from the log: what commands are decided on, and what readers use that
//! must not depend on a view.

mod current;
mod folds;

pub use current::Aggregates;
pub(crate) use folds::Folds;

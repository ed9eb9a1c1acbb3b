//! The aggregates, folded from the log: what commands are decided on, and what readers use that
//! must not depend on a view.

mod current;
mod folds;
mod members;

pub use current::Aggregates;
pub(crate) use folds::Folds;
pub use members::Member;

//! The bytes of an answer, counted while it is made.

mod budget;
mod heavy;
mod size;

pub use budget::AnswerBudget;
pub(crate) use heavy::{Heavy, budget, list, turn};
pub(crate) use size::{of_json, of_run, of_steps};

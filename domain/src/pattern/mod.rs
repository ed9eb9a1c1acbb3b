//! How runs proceed: one planner per pattern, a function of the definition and the state alone. It
//! returns the steps to plan, the steps that may start, the fallbacks to record and the end of the
//! run. Prompts and results are rendered from the same two.
//!
//! [`plan()`], [`prompt()`] and the functions of `outcome` choose the planner of a run's pattern.
//! Planners import `next`, `message` and `words`, never those.

mod debate;
mod design;
mod hierarchical;
mod message;
mod next;
mod outcome;
mod parallel;
mod plan;
mod prompt;
mod routing;
mod sequential;
mod structured;
mod words;

pub use debate::HISTORY_MAX;
pub use message::{Prompt, shown};
pub use next::{End, FallBack, NextStep, Plan, code_of};
pub use outcome::{Judgement, judge, output, result};
pub use plan::plan;
pub use prompt::{RENDERER, REPLIES_MAX, prompt, room, system_prompt};
pub use words::{cut, text_of};

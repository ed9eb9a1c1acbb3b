//! How runs go on: one planner a pattern, a function of the definition and the state and of nothing else. A planner says which steps there
//! are, which may begin, what was done instead of what a reply should have led to, and when the run has ended; what an agent is told and
//! what comes of it all is rendered from the same two.

mod debate;
mod design;
mod hierarchical;
mod outcome;
mod parallel;
mod plan;
mod prompt;
mod routing;
mod sequential;
mod structured;
mod words;

pub use debate::HEARD_MAX;
pub use outcome::{Judgement, judge, output, result};
pub use plan::{End, FallBack, NextStep, Plan, code_of, plan};
pub use prompt::{Prompt, RENDERER, prompt, shown, system_prompt};
pub use words::{cut, text_of};

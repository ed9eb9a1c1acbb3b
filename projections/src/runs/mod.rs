//! The view of runs: what a list shows of each, and who works on it. Written with the run's events, by the one who appends them.

mod apply;
mod view;

pub use view::{OpenRun, RunContent, RunFacts, RunState, RunSummary};

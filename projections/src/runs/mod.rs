//! The view of runs: the list entry of each run, and the process that works on it. Written with the
//! run's events, by the process that appends them.

mod apply;
mod view;

pub use view::{OpenRun, RunContent, RunFacts, RunState, RunSummary};

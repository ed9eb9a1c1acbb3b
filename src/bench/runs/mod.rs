//! Runs: what the engine costs beside the upstream and beside one durable commit, and how many stream at once.

mod follow;
mod measure;
mod upstream;

pub use measure::{RunBench, RunMeasured, measure as measure_runs};
pub use upstream::serve as serve_upstream;

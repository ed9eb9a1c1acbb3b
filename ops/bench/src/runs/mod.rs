//! Measures runs: what the engine adds to the upstream's time and to one durable commit, and how
//! many runs can stream at once.

mod follow;
mod measure;
mod upstream;

pub use measure::{RunBench, RunMeasured, measure as measure_runs};
pub use upstream::serve as serve_upstream;

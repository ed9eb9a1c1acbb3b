//! The process and its surroundings: clock, ids and entropy as ports; logs, metrics, limits of the
//! process, panics.

pub mod environment;
pub(crate) mod failure;
pub(crate) mod files;
pub mod metrics;
mod other_clock;
pub mod panics;
pub mod process;
pub mod telemetry;

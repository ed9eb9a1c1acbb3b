//! The process and its surroundings: clock, ids and entropy as ports; logs, metrics, open files, panics.

pub mod environment;
pub(crate) mod failure;
pub mod metrics;
pub mod open_files;
pub mod panics;
pub mod telemetry;

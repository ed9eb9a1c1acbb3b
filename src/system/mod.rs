//! The process and its surroundings: clock, ids and entropy as ports; logs, metrics, open files, panics.

pub mod environment;
pub mod metrics;
pub mod open_files;
pub mod panics;
pub mod telemetry;

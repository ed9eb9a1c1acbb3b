//! Works on runs: claims them, asks models for their steps, and writes what comes of it as events and text.
//!
//! One process works on a run at a time. Who that is stands in the log (`RunClaimed`): whoever claims a run takes the next version of
//! its stream, so that the owner before can append nothing more. Whether an owner still lives is said by the lease
//! [`claviger_projections::ports::LeaseName::Engine`] of its process; whoever gets that lease may claim its runs. A run's memory is its
//! fold: after a crash at any point the next owner reads it and goes on.

mod backoff;
mod call;
mod credentials;
mod decide;
mod journal;
mod keeper;
mod parts;
mod queue;
mod reaction;
mod worker;

pub use credentials::Operator;
pub use keeper::{Engine, EngineHandle};
pub use parts::{EngineParts, EngineSettings};

//! The engine works on runs: it claims them, calls models for their steps, and writes the results
//! as events and text.
//!
//! One process works on a run at a time. The log names it (`RunClaimed`): a claim takes the next
//! version of the run's stream, so the previous owner can append nothing more. Whether an owner is
//! alive is decided by the lease of its process,
//! [`claviger_projections::ports::LeaseName::Engine`]: a process that gets it may claim that
//! owner's runs. All state of a run is in its fold: after a crash at any point the next owner reads
//! it and continues.
//!
//! `decide` and `retry` are pure; the other modules do the IO.

mod backoff;
mod connection;
mod credentials;
mod decide;
mod journal;
mod parts;
mod places;
mod queue;
mod requester;
mod rests;
mod retry;
mod run_set;
mod scan;
mod share;
mod standby;
mod supervisor;
mod task;
mod told;
mod worker;

pub use credentials::Operator;
pub use parts::{EngineParts, EngineSettings};
pub use supervisor::{Engine, EngineHandle};

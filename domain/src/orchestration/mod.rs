//! Runs of orchestrations: what they are to do, the events of their history, the commands on them.
//! What a run does next is decided by [`crate::pattern`].

mod again;
mod aggregate;
mod call;
mod commands;
mod control;
mod definition;
mod draft;
mod error;
mod event;
mod lower_case;
mod phase;
mod prev_d;
mod step;
mod weight;

pub use again::{ATTEMPTS_MAX, CRASHES_MAX, RESTARTS_MAX};
pub use aggregate::{Failed as RunFailure, Run, Settings};
pub use call::*;
pub use commands::*;
pub use control::*;
pub use definition::*;
pub use draft::*;
pub use error::RunError;
pub use event::*;
pub use phase::Phase;
pub use step::{Step, StepState, counts};

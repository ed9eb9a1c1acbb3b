//! Runs of orchestrations: what they are to do, what happens to them, what may be asked of them. How they go on is said by
//! [`crate::pattern`].

mod call;
mod command;
mod control;
mod definition;
mod draft;
mod error;
mod event;
mod run;

pub use call::*;
pub use command::*;
pub use control::*;
pub use definition::*;
pub use draft::*;
pub use error::RunError;
pub use event::*;
pub use run::{Failed as RunFailure, Phase, Run, Settings, Step, StepState, counts};

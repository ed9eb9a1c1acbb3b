#![doc = include_str!("../README.md")]

mod build;
mod case;
mod cases;
mod check;
mod harness;

pub use case::{Case, Failure, Outcome};
pub use cases::cases;
pub use harness::{FaultHooks, Harness};

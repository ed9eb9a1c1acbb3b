//! The contract of every store, written once. Each implementation runs all of [`cases()`] against
//! itself. Stores that are broken on purpose must fail some of them.
//!
//! A case gets a [`Harness`], takes a fresh store from it, and reports in a [`Failure`] what went
//! wrong. The cases of one harness run one after another. A case that needs a hook that the harness
//! does not have ([`Harness::faults`], [`Harness::another`]) passes without it.

mod build;
mod case;
mod cases;
mod check;
mod harness;

pub use case::{Case, Failure, Outcome};
pub use cases::cases;
pub use harness::{FaultHooks, Harness};

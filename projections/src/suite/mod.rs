//! The contract of every store, written once. Each implementation runs all of [`cases()`] against itself; stores that are broken
//! on purpose must fail some of them.
//!
//! A case gets a [`Harness`], takes a fresh store from it and says in [`Failure`] what went wrong. Cases of one harness run one
//! after another; a case that needs a hook the harness doesn't have ([`Harness::faults`], [`Harness::another`]) passes without
//! it.

mod build;
mod case;
mod cases;
mod check;
mod harness;

pub use case::{Case, Failure, Outcome};
pub use cases::cases;
pub use harness::{FaultHooks, Harness};

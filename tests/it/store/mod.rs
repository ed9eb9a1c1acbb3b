//! The stores: the contract suite on each, stores that are broken on purpose, and what is particular to each.

mod broken;
mod contract;
mod gate;
mod harness;
mod kill;
pub(crate) mod mongo;
mod sqlite;

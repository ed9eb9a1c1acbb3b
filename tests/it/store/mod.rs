//! The stores: the contract suite on each, stores that are broken on purpose, and what is
//! particular to each.

mod bench;
mod broken;
mod broken_follow;
mod contract;
mod gate;
mod harness;
mod how;
mod kill;
pub(crate) mod mongo;
mod sqlite;
mod versions;
mod write_ahead_log;

//! Stores: implementations of the ports in `claviger_projections::ports`. They contain no business
//! rules; wiring chooses which one runs.

pub mod mongo;
pub mod sqlite;

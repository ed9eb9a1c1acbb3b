//! Stores: implementations of the ports in `claviger_projections::ports`. They hold no rules; which one runs is wiring's choice.

pub mod mongo;
pub mod sqlite;

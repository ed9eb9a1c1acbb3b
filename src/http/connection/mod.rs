//! Connections: accepted up to a bound, given up when they stall, drained at shutdown.

mod answering;
pub mod server;
mod waits;
mod write_stall;

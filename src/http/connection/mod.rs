//! Connections: accepted up to a bound, given up when they stall, drained at shutdown.

mod first_bytes;
pub mod server;
mod write_stall;

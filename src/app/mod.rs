//! Assembles the program: configuration, key files, wiring, and the server's lifecycle from start
//! to drain.

pub mod config;
pub mod key_files;
pub mod lifecycle;
mod max_plan;
mod opening;
mod parts;
pub mod wiring;

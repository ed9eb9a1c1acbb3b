//! The program put together: configuration, key files, the rooms' wiring, the server's life from start to drain.

pub mod config;
pub mod key_files;
pub mod lifecycle;
mod parts;
pub mod wiring;

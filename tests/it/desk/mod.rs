//! The operator's socket: commands beside a running server.
#![cfg(test)]

mod bounds;
mod kills;
mod place;
mod same;
mod secrets;
mod snapshot;
mod tree;

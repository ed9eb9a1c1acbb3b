//! `verify`: the log and everything made from it, checked against each other.

mod runs;
pub mod verify;

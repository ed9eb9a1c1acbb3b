//! `verify`: the log and everything made from it, checked against each other.

mod integrity;
mod report;
pub mod verify;

//! `verify`: the log and everything made from it, checked against each other.

mod expected;
mod integrity;
mod report;
mod tables;
pub mod verify;

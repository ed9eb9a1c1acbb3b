//! Rules of a user's keys.

mod add;
mod build;
mod defaults;
mod expiry;
mod lifecycle;
mod secrets;
mod tests;
mod versions;

pub(crate) use build::*;

//! Live feeds: how a reader of the log gets every item once and in order, whatever it missed.
//!
//! Subscribe, read, live: a feed registers with the [`Hub`] first, reads the store from its cursor, and then takes what the hub tells.
//! What the hub tells says which stretch of the log it covers ([`Span`]); a stretch that doesn't continue what the feed has, or a
//! channel that ran over, means reading the store again. So the hub saves work and nothing depends on it, and a reader that is slow
//! costs a few spans of memory and later a read.

mod driver;
mod follow;
mod hub;
#[cfg(test)]
mod schedules;

pub use driver::{Batch, Driver, Next, Span};
pub use follow::{Source, follow};
pub use hub::{Hub, Registration, Told, Topic};

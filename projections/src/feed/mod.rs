//! Live feeds: a reader of the log gets every item once and in order, even if it missed hints.
//!
//! A feed registers with the [`Hub`] first, reads the store from its cursor, and then takes items
//! from the hub. Each message of the hub names the stretch of the log that it covers ([`Span`]). If
//! a stretch does not continue from the feed's position, or the channel overflowed, the feed reads
//! the store again. The hub therefore only saves work, and correctness does not depend on it. A
//! slow reader costs a few spans of memory and a later read.

mod driver;
mod follow;
mod hub;
#[cfg(test)]
mod schedules;

pub use driver::{Batch, Driver, Next, Span};
pub use follow::{Source, follow};
pub use hub::{Hub, Registration, Told, Topic};

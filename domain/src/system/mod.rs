//! The installation itself: what was done to all of it. Its stream has no owner and its events have no content.

mod event;

pub use event::*;

//! The view of usage: what the calls of a run used on a day. Written after its events, by a follower; facts only.

mod apply;
mod view;

pub use apply::UsageView;
pub use view::{Cell, UsageFacts, day_of, start_of};

//! The usage view: what a run's calls used per day. Written after its events, by a follower;
//! contains facts only.

mod apply;
mod view;

pub use apply::UsageView;
pub use view::{Cell, UsageFacts, day_of, start_of};

//! The view of activity: what calls with a key taught about it. Written after its events, by a follower; facts only.

mod apply;
mod view;

pub use apply::ActivityView;
pub use view::{Call, CallEnd, CallFault, DayOfCalls, FaultFacts, KEPT_DAYS, KeyActivity};

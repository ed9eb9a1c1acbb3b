//! The activity view: what calls with a key revealed about it. Written after its events, by a
//! follower; contains facts only.

mod apply;
mod view;

pub use apply::ActivityView;
pub use view::{Call, CallEnd, CallFault, DayOfCalls, FaultFacts, KEPT_DAYS, KeyActivity};

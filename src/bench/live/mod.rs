//! Subscriptions: what thousands of idle ones hold, how soon all hear of an event, and what those who don't listen cost the others.

mod bare;
mod crowd;
mod measure;
mod side;

pub use bare::serve as serve_bare_feed;
pub use measure::{LiveBench, LiveMeasured, measure as measure_live};

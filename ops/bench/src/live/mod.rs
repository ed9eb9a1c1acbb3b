//! Measures subscriptions: the memory of thousands of idle ones, how soon all receive an event, and
//! what stalled readers cost the others.

mod bare;
mod crowd;
mod measure;
mod side;

pub use bare::serve as serve_bare_feed;
pub use measure::{LiveBench, LiveMeasured, measure as measure_live};

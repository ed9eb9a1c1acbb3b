//! Measures queries over HTTP, beside a handler that checks the same token and reads the same rows.

mod bare;
mod load;
mod measure;

pub use bare::{BareRows, serve as serve_bare_keys};
pub(super) use load::{KEYS, run as run_load};
pub use measure::{QueryBench, QueryMeasured, measure as measure_queries};

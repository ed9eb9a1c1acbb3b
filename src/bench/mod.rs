//! Measurements against a baseline of the same run: the output of `claviger bench`.
//!
//! A store is measured in a [`Trial`]: a temporary store together with a bare baseline of the same
//! kind. Both get the same rows in the same batches, so a ratio shows the cost of the store's
//! guarantees and depends little on the machine.

mod append;
mod attacks;
mod batches;
mod error;
mod figures;
mod http;
mod live;
mod load;
mod person;
mod query;
mod runs;
mod subject;
mod trial;

pub use append::{AppendBench, Measured, measure};
pub use attacks::{AttackBench, AttackMeasured, http2, measure_attacks, serve_nothing};
pub use batches::Batches;
pub use error::BenchError;
pub use figures::{Range, Sample, Spread};
pub use live::{LiveBench, LiveMeasured, measure_live, serve_bare_feed};
pub use load::{CONTENT_BYTES, run};
pub use query::{BareRows, QueryBench, QueryMeasured, measure_queries, serve_bare_keys};
pub use runs::{RunBench, RunMeasured, measure_runs, serve_upstream};
pub use subject::Cores;
pub use trial::{Bare, Ground, Trial};

#![doc = include_str!("../README.md")]
#![expect(
    clippy::missing_errors_doc,
    reason = "the functions of `raw` are for the benchmarks, and their errors are the database's own"
)]

pub mod address;
mod glance;
pub mod mongo;
mod skipped;
pub mod sqlite;

pub use glance::Glance;
pub use skipped::Skipped;

//! What a store must provide to be measured.

use crate::error::BenchError;
use crate::figures::Sample;
use claviger_projections::ports::{BoxFuture, Store};
use std::sync::Arc;
use std::time::Duration;

/// The result of inserting the rows without any guarantees.
#[derive(Clone, Copy, Debug)]
pub struct Bare {
    /// How many appends' rows were inserted.
    pub appends: usize,
    /// How long it took.
    pub took: Duration,
}

/// Where temporary stores can be created.
pub trait Ground: Send + Sync {
    /// Creates an empty store, opened as by `processes` processes.
    fn trial(&self, processes: usize) -> BoxFuture<'_, Result<Box<dyn Trial>, BenchError>>;
}

/// A temporary store, with its baselines.
pub trait Trial: Send + Sync {
    /// The store, once for each process.
    fn stores(&self) -> Vec<Arc<dyn Store>>;

    /// The appends of each transaction so far, in order.
    fn batches(&self) -> Vec<usize>;

    /// Conflicts with another process so far.
    fn conflicts(&self) -> u64;

    /// Reads back what the store wrote, then inserts the same rows in the same batches into an
    /// empty place of the same kind with the same indexes. The inserts are durable, but have no
    /// checks or guarantees. Only the inserting is timed.
    fn bare(&self) -> BoxFuture<'_, Result<Bare, BenchError>>;

    /// Appends the same rows the obvious way, each in a transaction that increments a counter and
    /// inserts, with `writers` writers for at most `time`. `None` where the store has no such
    /// baseline.
    fn counter(
        &self,
        writers: usize,
        time: Duration,
    ) -> BoxFuture<'_, Result<Option<Sample>, BenchError>>;

    /// Closes the store and removes everything.
    fn remove(self: Box<Self>) -> BoxFuture<'static, Result<(), BenchError>>;
}

//! What a store brings along to be measured.

use super::error::BenchError;
use super::figures::Sample;
use claviger_projections::ports::{BoxFuture, Store};
use std::sync::Arc;
use std::time::Duration;

/// What inserting the rows without any promise took.
#[derive(Clone, Copy, Debug)]
pub struct Bare {
    /// How many appends' rows were inserted.
    pub appends: usize,
    /// In what time.
    pub took: Duration,
}

/// A place where throw-away stores can be made.
pub trait Ground: Send + Sync {
    /// Makes an empty store, as `processes` processes would have it open.
    fn trial(&self, processes: usize) -> BoxFuture<'_, Result<Box<dyn Trial>, BenchError>>;
}

/// A throw-away store, and the bare means it is made of.
pub trait Trial: Send + Sync {
    /// The store, once for each process.
    fn stores(&self) -> Vec<Arc<dyn Store>>;

    /// How many appends each transaction had so far, in order.
    fn batches(&self) -> Vec<usize>;

    /// How often another process was in the way so far.
    fn conflicts(&self) -> u64;

    /// Reads back what the store wrote, then inserts the very same rows in the same batches into an empty place of the same kind with the
    /// same indexes, durably, and without asking or promising anything. Only the inserting is timed.
    fn bare(&self) -> BoxFuture<'_, Result<Bare, BenchError>>;

    /// Appends the same rows the obvious way, a transaction each that counts up and inserts, by so many writers for so long at most. `None`
    /// where there is no such thing.
    fn counter(
        &self,
        writers: usize,
        time: Duration,
    ) -> BoxFuture<'_, Result<Option<Sample>, BenchError>>;

    /// Closes the store and removes everything.
    fn remove(self: Box<Self>) -> BoxFuture<'static, Result<(), BenchError>>;
}

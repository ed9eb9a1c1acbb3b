//! Where a test may hold the batcher or make it fail. Production passes [`NoFaults`].

use claviger_projections::ports::{Append, BoxFuture};

/// How a step is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server answers something nobody foresaw; the transaction is aborted.
    Statement,
    /// The process is gone: the server drops its transaction, and nobody is answered.
    Killed,
}

/// Failpoints of the batcher.
pub trait Faults: Send + Sync {
    /// Before an append is decided, inside the transaction.
    fn before_append(&self, _append: &Append) -> Option<Fault> {
        None
    }

    /// When everything of a batch of `appends` is written and nothing is committed.
    fn before_commit(&self, _appends: usize) -> BoxFuture<'_, Option<Fault>> {
        Box::pin(std::future::ready(None))
    }

    /// After a commit: `true` if its answer is lost on the way.
    fn loses_answer(&self) -> bool {
        false
    }
}

/// Nothing fails but what really fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {}

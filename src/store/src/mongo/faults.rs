//! Points at which a test can block the batcher or make it fail. Production passes [`NoFaults`].

use claviger_projections::ports::{Append, BoxFuture};

/// How a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server replies with an unexpected error; the transaction is aborted.
    Statement,
    /// The process dies: the server drops its transaction, and no result is sent.
    Killed,
}

/// Failpoints of the batcher.
pub trait Faults: Send + Sync {
    /// Before an append is decided, inside the transaction.
    fn before_append(&self, _append: &Append) -> Option<Fault> {
        None
    }

    /// After a batch of `appends` is written and before it is committed.
    fn before_commit(&self, _appends: usize) -> BoxFuture<'_, Option<Fault>> {
        Box::pin(std::future::ready(None))
    }

    /// After a commit: `true` if its reply is lost.
    fn loses_answer(&self) -> bool {
        false
    }
}

/// Injects no faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {}

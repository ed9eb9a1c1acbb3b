//! What the batcher is asked to do, and how it answers.

use claviger_projections::ports::{Append, AppendError, Appended};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// A queued append.
pub(in crate::store::mongo) struct Task {
    /// It.
    pub(super) append: Arc<Append>,
    bytes: usize,
    reply: oneshot::Sender<Result<Appended, AppendError>>,
    /// Its place in the queue, free again when it is answered.
    _permit: OwnedSemaphorePermit,
}

impl Task {
    /// A task to be queued.
    pub(in crate::store::mongo) fn new(
        append: Append,
        reply: oneshot::Sender<Result<Appended, AppendError>>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let bytes = append.weight();
        Self { append: Arc::new(append), bytes, reply, _permit: permit }
    }

    /// About how much it writes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Answers. Whoever waited may be gone: that changes nothing.
    pub(super) fn answer(self, answer: Result<Appended, AppendError>) {
        drop(self.reply.send(answer));
    }
}

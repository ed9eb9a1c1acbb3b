//! The batcher's tasks, and how their results are sent.

use claviger_projections::ports::{Append, AppendError, Appended};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

pub(in crate::mongo) struct Task {
    pub(super) append: Arc<Append>,
    bytes: usize,
    reply: oneshot::Sender<Result<Appended, AppendError>>,
    /// Its slot in the queue, released once the result is sent.
    _permit: OwnedSemaphorePermit,
}

impl Task {
    pub(in crate::mongo) fn new(
        append: Append,
        reply: oneshot::Sender<Result<Appended, AppendError>>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let bytes = append.weight();
        Self { append: Arc::new(append), bytes, reply, _permit: permit }
    }

    /// Approximate number of bytes that it writes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sends the result. The caller may be gone: that changes nothing.
    pub(super) fn answer(self, answer: Result<Appended, AppendError>) {
        drop(self.reply.send(answer));
    }
}

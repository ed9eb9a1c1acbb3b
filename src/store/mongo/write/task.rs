//! What the batcher is asked to do, and how it answers.

use claviger_projections::ports::{Append, AppendError, Appended, ClaimChange, NewEvent, RowChange};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// A queued append.
pub(in crate::store::mongo) struct Task {
    /// It.
    pub(super) append: Box<Append>,
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
        let bytes = append_bytes(&append);
        Self { append: Box::new(append), bytes, reply, _permit: permit }
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

/// About how many bytes an append writes: what bounds a batch, so that nobody waits for a transaction of hundreds of megabytes.
fn append_bytes(append: &Append) -> usize {
    let event = |event: &NewEvent| 512 + event.facts.len() + event.content.iter().map(Vec::len).sum::<usize>();
    let row = |row: &RowChange| match row {
        RowChange::PutView(row) => 256 + row.facts.len() + row.content.as_ref().map_or(0, Vec::len),
        RowChange::PutSecret(row) => 256 + row.sealed.len(),
        RowChange::PutUserKey(_)
        | RowChange::PutIndexKey(_)
        | RowChange::PutContentKey(_)
        | RowChange::DeleteSecret { .. }
        | RowChange::PutCredential(_)
        | RowChange::PutSession(_)
        | RowChange::DeleteSession(_)
        | RowChange::DeleteSessions { .. }
        | RowChange::PutTimer(_)
        | RowChange::DeleteTimer { .. }
        | RowChange::DeleteView { .. }
        | RowChange::PutDefault { .. }
        | RowChange::DeleteDefault { .. }
        | RowChange::EraseUser(_) => 256,
    };
    let claims = append.claims.len() * size_of::<ClaimChange>();
    append.events.iter().map(event).sum::<usize>() + append.rows.iter().map(row).sum::<usize>() + claims
}

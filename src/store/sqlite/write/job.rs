//! Work that leaves no event: whatever its answer is, it is given after the commit.

use super::outcome::Stop;
use super::task::Reply;
use claviger_projections::ports::{AppendError, StoreError};
use rusqlite::Connection;

/// Work inside the writer's transaction. Tried again as often as its batch is.
pub(in crate::store::sqlite) trait Job: Send {
    /// About how much it writes.
    fn bytes(&self) -> usize;
    /// Does it. `false` if it wrote nothing.
    fn execute(&mut self, connection: &Connection) -> Result<bool, Stop>;
    /// Answers, now that it is durable.
    fn answer(self: Box<Self>);
    /// Answers that nothing of it was done, or that nobody can say.
    fn fail(self: Box<Self>, error: StoreError);
}

/// What a piece of work came to, and whether it wrote.
pub(in crate::store::sqlite) struct Worked<T> {
    pub(in crate::store::sqlite) answer: T,
    pub(in crate::store::sqlite) wrote: bool,
}

impl<T> Worked<T> {
    /// Nothing was written.
    pub(in crate::store::sqlite) const fn nothing(answer: T) -> Self {
        Self { answer, wrote: false }
    }
}

/// A function as a job.
pub(in crate::store::sqlite) struct JobOf<T, F> {
    work: F,
    bytes: usize,
    done: Option<Result<T, StoreError>>,
    reply: Reply<Result<T, StoreError>>,
}

impl<T, F> JobOf<T, F> {
    /// A job that writes about `bytes`.
    pub(in crate::store::sqlite) const fn new(
        bytes: usize,
        work: F,
        reply: Reply<Result<T, StoreError>>,
    ) -> Self {
        Self { work, bytes, done: None, reply }
    }
}

impl<T: Send, F: Fn(&Connection) -> Result<Worked<T>, Stop> + Send> Job for JobOf<T, F> {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn execute(&mut self, connection: &Connection) -> Result<bool, Stop> {
        match (self.work)(connection) {
            Ok(worked) => {
                self.done = Some(Ok(worked.answer));
                Ok(worked.wrote)
            }
            Err(Stop::Refused(AppendError::Store(error))) => {
                self.done = Some(Err(error));
                Ok(false)
            }
            Err(Stop::Refused(_)) => {
                self.done =
                    Some(Err(StoreError::Unavailable("a value can't be stored".to_owned())));
                Ok(false)
            }
            Err(Stop::Unexpected(error)) => Err(Stop::Unexpected(error)),
        }
    }

    fn answer(self: Box<Self>) {
        // An answer nobody waits for any more is dropped.
        drop(self.reply.send(self.done.unwrap_or(Err(StoreError::Closed))));
    }

    fn fail(self: Box<Self>, error: StoreError) {
        drop(self.reply.send(Err(error)));
    }
}

//! Work without events. Any result is sent after the commit.

use super::outcome::Stop;
use super::task::Reply;
use claviger_projections::ports::{AppendError, StoreError};
use rusqlite::Connection;

/// Work inside the writer's transaction. It is repeated as often as its batch is.
pub(in crate::sqlite) trait Job: Send {
    /// Approximate number of bytes that it writes.
    fn bytes(&self) -> usize;
    /// Executes it. `false` if it wrote nothing.
    fn execute(&mut self, connection: &Connection) -> Result<bool, Stop>;
    /// Sends the result, now that it is durable.
    fn answer(self: Box<Self>);
    /// Sends an error: nothing was done, or the outcome is unknown.
    fn fail(self: Box<Self>, error: StoreError);
}

/// The result of a job, and whether it wrote.
pub(in crate::sqlite) struct Worked<T> {
    pub(in crate::sqlite) answer: T,
    pub(in crate::sqlite) wrote: bool,
}

impl<T> Worked<T> {
    /// A result without a write.
    pub(in crate::sqlite) const fn nothing(answer: T) -> Self {
        Self { answer, wrote: false }
    }
}

/// A function as a job.
pub(in crate::sqlite) struct JobOf<T, F> {
    work: F,
    bytes: usize,
    done: Option<Result<T, StoreError>>,
    reply: Reply<Result<T, StoreError>>,
}

impl<T, F> JobOf<T, F> {
    /// A job that writes about `bytes`.
    pub(in crate::sqlite) const fn new(
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
                    Some(Err(StoreError::Unavailable("a value cannot be stored".to_owned())));
                Ok(false)
            }
            Err(Stop::Unexpected(error)) => Err(Stop::Unexpected(error)),
        }
    }

    fn answer(self: Box<Self>) {
        // The result is dropped if the caller has gone.
        drop(self.reply.send(self.done.unwrap_or(Err(StoreError::Closed))));
    }

    fn fail(self: Box<Self>, error: StoreError) {
        drop(self.reply.send(Err(error)));
    }
}

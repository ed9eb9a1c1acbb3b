//! The writer's thread: collects tasks, commits, sends results, checkpoints.

use super::append::{End, Gate};
use super::batch::{self, Trouble};
use super::task::{Reply, Task};
use crate::sqlite::error;
use crate::sqlite::faults::Faults;
use claviger_projections::ports::{Signer, StoreError};
use rusqlite::{Connection, ErrorCode};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use tokio::sync::watch;

/// Maximum number of tasks in one transaction.
const BATCH_TASKS: usize = 256;
/// Maximum number of bytes in one transaction, unless a single task has more.
const BATCH_BYTES: usize = 4 << 20;
/// Approximate number of bytes written before the log is copied back into the database.
pub const CHECKPOINT_BYTES: usize = 4 << 20;
/// What a commit writes beside its tasks' own bytes: pages are 4 KiB, and a few indexes are
/// touched.
pub const COMMIT_BYTES: usize = 48 << 10;

/// The store can no longer write. The process should stop and start again: opening the file again
/// shows what it contains.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk failed while events were being made durable (SQLite code {code}): nothing more is written; restart the program"
)]
pub struct Failure {
    /// SQLite's extended result code; 0 if the writer's thread panicked.
    pub code: i32,
}

/// A message to the writer.
pub(in crate::sqlite) enum Message {
    /// Execute it inside a transaction.
    Task(Box<Task>),
    /// Truncate the write-ahead log; `false` if a reader was in the way.
    Scrub(Reply<Result<bool, StoreError>>),
    /// Finish the queued tasks, truncate the log, end.
    Close,
}

pub(in crate::sqlite) struct WriterParts {
    /// The only connection that writes.
    pub(in crate::sqlite) connection: Connection,
    pub(in crate::sqlite) messages: Receiver<Message>,
    pub(in crate::sqlite) faults: Arc<dyn Faults>,
    /// Receives the position after every commit.
    pub(in crate::sqlite) position: watch::Sender<u64>,
    /// Receives the failure once the store can no longer write.
    pub(in crate::sqlite) failure: watch::Sender<Option<Failure>>,
    /// Signs the events.
    pub(in crate::sqlite) signer: Signer,
}

pub(in crate::sqlite) struct Writer {
    parts: WriterParts,
    /// The end of the log: only this process moves it while the lock is held.
    end: End,
    /// Taken from the queue, to be handled after the current transaction.
    carried: Option<Message>,
    written_bytes: usize,
}

impl Writer {
    /// A writer at the end of the log that its file has, behind the gate of what the file requires.
    pub(in crate::sqlite) fn new(
        parts: WriterParts,
        (frontier, at): (claviger_proof::Frontier, claviger_domain::timestamp::Timestamp),
        gate: Gate,
    ) -> Self {
        let end = End { frontier, at, gate, signer: parts.signer.clone() };
        Self { parts, end, carried: None, written_bytes: 0 }
    }

    /// Runs until it receives `Close`, no sender is left, or the disk fails. Messages still queued
    /// then are dropped, which their callers see as [`StoreError::Closed`].
    pub(in crate::sqlite) fn run(mut self) {
        while let Some(message) = self.next() {
            let went = match message {
                Message::Close => break,
                Message::Scrub(reply) => self.scrub(reply),
                Message::Task(first) => self.work(*first).and_then(|()| self.checkpoint_if_due()),
            };
            if let Err(error) = went {
                return self.fail(&error);
            }
        }
        if let Err(error) = self.truncate() {
            tracing::warn!(
                code = error::code(&error),
                "the final checkpoint failed; the next start repeats it"
            );
        }
    }

    fn next(&mut self) -> Option<Message> {
        self.carried.take().or_else(|| self.parts.messages.recv().ok())
    }

    /// Commits a task together with those queued meanwhile. No timer is needed: under load the
    /// queue fills during a commit.
    fn work(&mut self, first: Task) -> Result<(), rusqlite::Error> {
        let mut bytes = first.bytes();
        let mut tasks = vec![first];
        while tasks.len() < BATCH_TASKS {
            match self.parts.messages.try_recv() {
                Ok(Message::Task(task)) if bytes + task.bytes() <= BATCH_BYTES => {
                    bytes += task.bytes();
                    tasks.push(*task);
                }
                Ok(other) => {
                    self.carried = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        self.written_bytes += bytes + COMMIT_BYTES;
        match self.commit(&mut tasks) {
            Ok(()) => tasks.into_iter().for_each(Task::answer),
            Err(Trouble::Fatal(error)) => {
                fail_all(tasks, &StoreError::Closed);
                return Err(error);
            }
            Err(Trouble::Failed(error)) => return self.split(tasks, &error),
        }
        Ok(())
    }

    /// Retries each task in a transaction of its own, so that only the culprit fails.
    fn split(&mut self, tasks: Vec<Task>, error: &rusqlite::Error) -> Result<(), rusqlite::Error> {
        if tasks.len() == 1 {
            fail_all(tasks, &error::store_error(error));
            return Ok(());
        }
        tracing::warn!(
            code = error::code(error),
            tasks = tasks.len(),
            "a batch failed, so its tasks are retried one by one"
        );
        let mut fatal = None;
        for mut task in tasks {
            if fatal.is_some() {
                task.fail(StoreError::Closed);
                continue;
            }
            match self.commit(std::slice::from_mut(&mut task)) {
                Ok(()) => task.answer(),
                Err(Trouble::Failed(error)) => task.fail(error::store_error(&error)),
                Err(Trouble::Fatal(error)) => {
                    task.fail(StoreError::Closed);
                    fatal = Some(error);
                }
            }
        }
        fatal.map_or(Ok(()), Err)
    }

    fn commit(&mut self, tasks: &mut [Task]) -> Result<(), Trouble> {
        let end =
            batch::commit(&self.parts.connection, tasks, &self.end, self.parts.faults.as_ref())?;
        let position = end.frontier.size();
        if position != self.end.frontier.size() {
            self.end = end;
            self.parts.position.send_replace(position);
        }
        Ok(())
    }

    /// Copies the log back without waiting for readers. A disk error is fatal here too: the copy's
    /// fsync is never repeated.
    fn checkpoint_if_due(&mut self) -> Result<(), rusqlite::Error> {
        if self.written_bytes < CHECKPOINT_BYTES {
            return Ok(());
        }
        self.written_bytes = 0;
        match checkpoint(&self.parts.connection, "PRAGMA wal_checkpoint(PASSIVE)") {
            Ok(_) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                tracing::warn!(
                    "the disk is full: the write-ahead log cannot be copied back, and grows until there is space"
                );
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn scrub(&mut self, reply: Reply<Result<bool, StoreError>>) -> Result<(), rusqlite::Error> {
        let truncated = self.truncate();
        let (answer, went) = match truncated {
            Ok(done) => (Ok(done), Ok(())),
            Err(error) if error::is_fatal(&error) => (Err(StoreError::Closed), Err(error)),
            Err(error) => (Err(error::store_error(&error)), Ok(())),
        };
        drop(reply.send(answer));
        went
    }

    fn truncate(&mut self) -> Result<bool, rusqlite::Error> {
        let done = checkpoint(&self.parts.connection, "PRAGMA wal_checkpoint(TRUNCATE)")?;
        self.written_bytes = 0;
        Ok(done)
    }

    fn fail(self, error: &rusqlite::Error) {
        let failure = Failure { code: error::code(error) };
        tracing::error!(
            code = failure.code,
            "the disk failed while events were being made durable: the store stops writing"
        );
        self.parts.failure.send_replace(Some(failure));
    }
}

fn fail_all(tasks: Vec<Task>, error: &StoreError) {
    for task in tasks {
        task.fail(error.clone());
    }
}

/// Runs a checkpoint; `false` if a reader was in the way.
fn checkpoint(connection: &Connection, sql: &str) -> Result<bool, rusqlite::Error> {
    let busy: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(busy == 0)
}

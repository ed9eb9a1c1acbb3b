//! The writer's thread: collects tasks, commits, sends results, checkpoints.

use super::append::{End, Gate};
use super::batch::{self, Trouble};
use super::refusing::Refusing;
use super::task::{Reply, Task};
use crate::sqlite::connection::WRITER_BUSY;
use crate::sqlite::error;
use crate::sqlite::faults::Faults;
use claviger_projections::ports::{Signer, StoreError};
use rusqlite::{Connection, ErrorCode};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::watch;

/// Maximum number of tasks in one transaction.
const BATCH_TASKS: usize = 256;
/// Maximum number of bytes in one transaction, unless a single task has more.
const BATCH_BYTES: usize = 4 << 20;
/// Approximate number of bytes written before the log is copied back into the database.
pub const CHECKPOINT_BYTES: usize = 4 << 20;
/// The write-ahead log is emptied when it has this many bytes: a log that is in use never shrinks by
/// itself, and begins anew only when no reader is in it.
const LOG_BYTES: i64 = 16 << 20;
/// A log of so many bytes is reported: something reads without an end.
const LOG_WARNING: i64 = 256 << 20;
/// How long emptying the log waits for readers, with all writers waiting behind it. Our own readers
/// take milliseconds.
const READERS_END: Duration = Duration::from_millis(25);
/// The first pause after readers prevented that the log was emptied, and the longest: it doubles.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));
/// How much of the log is written in a page beside its content.
const PAGE: i64 = 4096 + 24;
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
    /// Knows whether writes are refused.
    pub(in crate::sqlite) refusing: Arc<Refusing>,
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
    /// The log must be emptied, and readers have prevented it: the pause before the next attempt.
    owed: Option<Duration>,
    /// The log's size was reported.
    is_reported: bool,
}

/// What the writer does next.
enum Next {
    Take(Message),
    /// Nothing came for the pause.
    Repeat,
    End,
}

impl Writer {
    /// A writer at the end of the log that its file has, behind the gate of what the file requires.
    pub(in crate::sqlite) fn new(
        parts: WriterParts,
        (frontier, at): (claviger_proof::Frontier, claviger_domain::timestamp::Timestamp),
        gate: Gate,
    ) -> Self {
        let end = End { frontier, at, gate, signer: parts.signer.clone() };
        Self { parts, end, carried: None, written_bytes: 0, owed: None, is_reported: false }
    }

    /// Runs until it receives `Close`, no sender is left, or the disk fails. Messages still queued
    /// then are dropped, which their callers see as [`StoreError::Closed`].
    pub(in crate::sqlite) fn run(mut self) {
        loop {
            let went = match self.next() {
                Next::End | Next::Take(Message::Close) => break,
                Next::Take(Message::Scrub(reply)) => self.scrub(reply),
                Next::Take(Message::Task(first)) => {
                    self.work(*first).and_then(|()| self.checkpoint_if_due())
                }
                Next::Repeat => self.empty_log().map(drop),
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

    fn next(&mut self) -> Next {
        if let Some(message) = self.carried.take() {
            return Next::Take(message);
        }
        let Some(pause) = self.owed else {
            return self.parts.messages.recv().map_or(Next::End, Next::Take);
        };
        match self.parts.messages.recv_timeout(pause) {
            Ok(message) => Next::Take(message),
            Err(RecvTimeoutError::Timeout) => Next::Repeat,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
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
        let parts = &self.parts;
        let done = batch::commit(&parts.connection, tasks, &self.end, parts.faults.as_ref());
        match &done {
            // What wrote nothing says nothing about the disk.
            Ok(end) if end.frontier.size() == self.end.frontier.size() => {}
            Ok(_) => parts.refusing.written(),
            Err(Trouble::Failed(error) | Trouble::Fatal(error)) => parts.refusing.failed(error),
        }
        let end = done?;
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
            Ok(copied) if self.owed.is_some() || copied.log_bytes >= LOG_BYTES => {
                self.empty_log().map(drop)
            }
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
        let (answer, went) = match self.empty_log() {
            Ok(done) => (Ok(done), Ok(())),
            Err(error) if error::is_fatal(&error) => (Err(StoreError::Closed), Err(error)),
            Err(error) => (Err(error::store_error(&error)), Ok(())),
        };
        drop(reply.send(answer));
        went
    }

    /// Empties the log if no reader is in it, else later: nobody's commits wait for a reader that
    /// does not end. `false` if one was in the way.
    fn empty_log(&mut self) -> Result<bool, rusqlite::Error> {
        self.parts.connection.busy_timeout(READERS_END)?;
        let emptied = self.truncate();
        self.parts.connection.busy_timeout(WRITER_BUSY)?;
        let Checkpoint { is_done, log_bytes } = match emptied {
            // A full disk: the next commit reports it.
            Err(error) if !error::is_fatal(&error) => Checkpoint { is_done: false, log_bytes: 0 },
            emptied => emptied?,
        };
        if is_done {
            (self.owed, self.is_reported) = (None, false);
            return Ok(true);
        }
        let (first, longest) = PAUSES;
        self.owed = Some(self.owed.map_or(first, |pause| (pause * 2).min(longest)));
        if log_bytes >= LOG_WARNING && !self.is_reported {
            self.is_reported = true;
            tracing::warn!(
                log_bytes,
                "a reader keeps the write-ahead log from being emptied, and it grows: end the program that has claviger.db open"
            );
        }
        Ok(false)
    }

    /// Waits for readers as long as the connection waits.
    fn truncate(&mut self) -> Result<Checkpoint, rusqlite::Error> {
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

/// The outcome of a checkpoint.
struct Checkpoint {
    /// No reader was in the way.
    is_done: bool,
    log_bytes: i64,
}

fn checkpoint(connection: &Connection, sql: &str) -> Result<Checkpoint, rusqlite::Error> {
    connection.prepare_cached(sql)?.query_row([], |row| {
        let pages: i64 = row.get(1)?;
        Ok(Checkpoint {
            is_done: row.get::<_, i64>(0)? == 0,
            log_bytes: pages.saturating_mul(PAGE),
        })
    })
}

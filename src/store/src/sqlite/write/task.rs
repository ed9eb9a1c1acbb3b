//! The writer's tasks inside a transaction, and how their results are sent.

use super::append::{self, End};
use super::changes;
use super::deltas;
use super::job::Job;
use super::outcome::{Stop, stored};
use super::rotation;
use crate::sqlite::faults::Faults;
use claviger_domain::id::{RunId, SessionId, UserId};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, AppendError, Appended, DeltaPlace, DeltaRow, FlushError, StoreError, StoreKeyRow,
    TimerRow, UserKeyRow, UserRows,
};
use rusqlite::{Connection, params};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Where a result goes. The caller may be gone: that changes nothing.
pub(in crate::sqlite) type Reply<T> = oneshot::Sender<T>;

/// A change without events; its result is the number of rows changed.
#[derive(Clone, Debug)]
pub(in crate::sqlite) enum RowTask {
    /// Inserts the first store key.
    InitStoreKey(StoreKeyRow),
    /// Rotates a refresh token.
    RotateSession {
        id: SessionId,
        /// The expected generation.
        from: u32,
        now: Timestamp,
        /// New expiry.
        until: Timestamp,
        mac: Option<[u8; 32]>,
    },
    /// Puts a timer off, or deletes it.
    MoveTimer {
        /// As it was read.
        timer: TimerRow,
        /// `None` deletes it.
        until: Option<Timestamp>,
    },
    /// Deletes closed command records that have expired.
    ForgetRecords(Timestamp),
    /// Rewraps a user key.
    RewrapUserKey {
        /// The expected row.
        from: UserKeyRow,
        /// The new row.
        to: UserKeyRow,
    },
    /// Gives a user a new key.
    RekeyUser {
        /// The expected old key, and everything that depends on it.
        from: Box<UserRows>,
        /// The new key, and everything that depends on it.
        to: Box<UserRows>,
    },
    /// Deletes a run's rows of text and their expiry timer.
    ExpireDeltas { owner: UserId, run: RunId },
}

/// The work of a task, and the channel for its result, which is sent only after the commit.
pub(in crate::sqlite) enum TaskKind {
    Append {
        append: Box<Append>,
        reply: Reply<Result<Appended, AppendError>>,
    },
    Rows {
        task: RowTask,
        reply: Reply<Result<u64, StoreError>>,
    },
    /// Any other work, with its own type of result.
    Job(Box<dyn Job>),
    /// Rows of a run's streamed text.
    Flush {
        rows: Vec<DeltaRow>,
        reply: Reply<Result<(), FlushError>>,
    },
}

pub(in crate::sqlite) struct Task {
    kind: TaskKind,
    bytes: usize,
    done: Done,
    /// Its slot in the queue, released once the result is sent.
    _permit: OwnedSemaphorePermit,
}

/// The result of a task.
#[derive(Default)]
enum Done {
    #[default]
    NotYet,
    Appended(Appended),
    Changed(u64),
    Flushed(Vec<DeltaPlace>),
    Refused(AppendError),
}

impl Task {
    pub(in crate::sqlite) fn new(kind: TaskKind, permit: OwnedSemaphorePermit) -> Self {
        let bytes = match &kind {
            TaskKind::Append { append, .. } => append.weight(),
            TaskKind::Rows { .. } => 256,
            TaskKind::Job(job) => job.bytes(),
            TaskKind::Flush { rows, .. } => rows.iter().map(|row| 256 + row.sealed.len()).sum(),
        };
        Self { kind, bytes, done: Done::NotYet, _permit: permit }
    }

    /// Approximate number of bytes that it writes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Executes it and keeps the result until the commit. `true` if it wrote something, `false` if
    /// it was refused.
    pub(super) fn execute(
        &mut self,
        connection: &Connection,
        end: &mut End,
        faults: &dyn Faults,
    ) -> Result<bool, rusqlite::Error> {
        let went = match &mut self.kind {
            TaskKind::Job(job) => {
                return match job.execute(connection) {
                    Ok(wrote) => Ok(wrote),
                    Err(Stop::Unexpected(error)) => Err(error),
                    Err(Stop::Refused(_)) => Ok(false),
                };
            }
            TaskKind::Append { append, .. } => match faults.before_append(append) {
                Some(fault) => return Err(fault.error()),
                None => append::execute(connection, append, end).map(Done::Appended),
            },
            TaskKind::Rows { task, .. } => change_rows(connection, task).map(Done::Changed),
            TaskKind::Flush { rows, .. } => deltas::insert(connection, rows).map(Done::Flushed),
        };
        self.done = match went {
            Ok(done) => done,
            Err(Stop::Refused(refusal)) => Done::Refused(refusal),
            Err(Stop::Unexpected(error)) => return Err(error),
        };
        Ok(!matches!(self.done, Done::Refused(_)))
    }

    /// Sends the task's result, now that it is durable.
    pub(super) fn answer(self) {
        match (self.kind, self.done) {
            (TaskKind::Job(job), _) => job.answer(),
            (TaskKind::Append { reply, .. }, Done::Appended(appended)) => send(reply, Ok(appended)),
            (TaskKind::Append { reply, .. }, Done::Refused(refusal)) => send(reply, Err(refusal)),
            (TaskKind::Rows { reply, .. }, Done::Changed(count)) => send(reply, Ok(count)),
            (TaskKind::Rows { reply, .. }, Done::Refused(AppendError::Store(error))) => {
                send(reply, Err(error));
            }
            (TaskKind::Rows { reply, .. }, _) => {
                send(reply, Err(StoreError::Unavailable("a value cannot be stored".to_owned())));
            }
            (TaskKind::Flush { reply, .. }, Done::Flushed(taken)) if taken.is_empty() => {
                send(reply, Ok(()));
            }
            (TaskKind::Flush { reply, .. }, Done::Flushed(taken)) => {
                send(reply, Err(FlushError::Taken(taken)));
            }
            (TaskKind::Flush { reply, .. }, _) => {
                send(
                    reply,
                    Err(StoreError::Unavailable("a value cannot be stored".to_owned()).into()),
                );
            }
            (TaskKind::Append { reply, .. }, _) => send(reply, Err(StoreError::Closed.into())),
        }
    }

    /// Sends an error: nothing was done, or the outcome is unknown.
    pub(super) fn fail(self, error: StoreError) {
        match self.kind {
            TaskKind::Append { reply, .. } => send(reply, Err(error.into())),
            TaskKind::Rows { reply, .. } => send(reply, Err(error)),
            TaskKind::Job(job) => job.fail(error),
            TaskKind::Flush { reply, .. } => send(reply, Err(error.into())),
        }
    }
}

fn send<T>(reply: Reply<T>, answer: T) {
    // The result is dropped if the caller has gone.
    drop(reply.send(answer));
}

fn change_rows(connection: &Connection, task: &RowTask) -> Result<u64, Stop> {
    let changed = match task {
        RowTask::InitStoreKey(row) => {
            let sql = "INSERT INTO store_keys (kek, wrapped_index_key, canary, seq) SELECT ?1, ?2, ?3, 1 \
                       WHERE NOT EXISTS (SELECT 1 FROM store_keys)";
            connection.prepare_cached(sql)?.execute(params![
                row.kek,
                row.wrapped_index_key,
                row.canary
            ])?
        }
        RowTask::RotateSession { id, from, now, until, mac } => {
            let sql = "UPDATE sessions SET generation = generation + 1, rotated_at = ?3, last_seen_at = ?3, expires_at = ?4, mac = ?5 \
                       WHERE id = ?1 AND generation = ?2";
            connection.prepare_cached(sql)?.execute(params![
                id.0.as_bytes(),
                from,
                stored(now.0)?,
                stored(until.0)?,
                mac
            ])?
        }
        RowTask::ExpireDeltas { owner, run } => deltas::expire(connection, *owner, *run)?,
        RowTask::MoveTimer { timer, until } => changes::move_timer(connection, timer, *until)?,
        RowTask::ForgetRecords(now) => {
            let sql = "DELETE FROM commands WHERE command_id IN \
                       (SELECT command_id FROM commands WHERE open = 0 AND expires_at <= ?1 LIMIT ?2)";
            connection.prepare_cached(sql)?.execute([stored(now.0)?, stored(deltas::SLICE)?])?
        }
        RowTask::RewrapUserKey { from, to } => rotation::rewrap(connection, from, to)?,
        RowTask::RekeyUser { from, to } => rotation::rekey(connection, from, to)?,
    };
    Ok(changed as u64)
}

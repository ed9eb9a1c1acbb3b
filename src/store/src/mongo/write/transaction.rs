//! One attempt at a batch: one transaction, which updates the head first.

use super::decide::{Draft, End};
use super::known::Reader;
use crate::mongo::cells::bound;
use crate::mongo::error::DbError;
use crate::mongo::faults::{Fault, Faults};
use crate::mongo::read::{head_of, time_of};
use crate::mongo::schema::{HEAD, HEAD_ID, binary};
use crate::mongo::session::{self, Committed};
use claviger_domain::event::EnvelopeVersion;

use claviger_domain::id::EventId;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, AppendError, Appended, Signer, StoreError, contradicted, is_after_a_rest,
};
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use mongodb::{ClientSession, Database};
use std::sync::{Arc, Mutex, PoisonError};

/// The results of a batch's appends, in order.
pub(super) type Answers = Vec<Result<Appended, AppendError>>;

/// A settled batch.
pub(super) struct Settled {
    pub(super) answers: Answers,
    /// Position of the end of the log.
    pub(super) position: u64,
    /// Time of the last event.
    pub(super) at: Timestamp,
}

/// Why a batch was not settled.
pub(super) enum Trouble {
    /// Nothing is committed.
    Failed(DbError),
    /// The commit was sent, but no reply was received: either all events of [`Settled`] are in the
    /// log, or none is.
    Unknown(Settled),
    /// A test has killed this process.
    Killed,
}

impl<E: Into<DbError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The progress of an attempt, shared with the caller that waits for it. An abandoned attempt
/// continues alone, since a driver's future is never dropped midway; this ensures that it does not
/// commit once the caller has moved on.
#[derive(Default)]
pub(super) struct Progress(Mutex<Stage>);

#[derive(Default)]
enum Stage {
    /// Nothing can be committed yet.
    #[default]
    Writing,
    /// The commit is in progress; the result of the batch if it succeeds.
    Committing(Settled),
    /// The caller no longer waits.
    GivenUp,
}

impl Progress {
    fn change(&self, to: Stage) -> Stage {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), to)
    }

    /// Abandons the attempt. Returns what may have been committed if the commit was in progress;
    /// otherwise nothing ever will be.
    pub(super) fn give_up(&self) -> Option<Settled> {
        match self.change(Stage::GivenUp) {
            Stage::Committing(settled) => Some(settled),
            Stage::Writing | Stage::GivenUp => None,
        }
    }

    /// Starts the commit; `false` if it must not happen.
    fn commits(&self, settled: Settled) -> bool {
        let mut stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited_for = !matches!(*stage, Stage::GivenUp);
        if waited_for {
            *stage = Stage::Committing(settled);
        }
        waited_for
    }
}

/// What is to be appended.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) appends: &'a [Arc<Append>],
    /// The version of the envelopes.
    pub(super) version: EnvelopeVersion,
    /// Whether the database's clock contradicts an append whose time is far ahead.
    pub(super) asks_clock: bool,
    /// Signs the events.
    pub(super) signer: &'a Signer,
    /// Position and time of the end of the log as this process left it.
    pub(super) known: Option<(u64, Timestamp)>,
}

/// Attempts a batch once.
pub(super) async fn attempt(
    db: &Database,
    session: &mut ClientSession,
    batch: Batch<'_>,
    faults: &dyn Faults,
    progress: &Progress,
) -> Result<Settled, Trouble> {
    session::begin(session).await?;
    let written = write(db, session, batch, faults).await;
    let settled = match written {
        Ok(settled) => settled,
        Err(trouble) => {
            session::abort(session).await;
            return Err(trouble);
        }
    };
    if !progress.commits(settled) {
        session::abort(session).await;
        return Err(Trouble::Failed(DbError::Silent));
    }
    let committed = session::commit(session).await;
    let Some(settled) = progress.give_up() else { return Err(Trouble::Failed(DbError::Silent)) };
    match committed {
        Committed::Yes if faults.loses_answer() => Err(Trouble::Unknown(settled)),
        Committed::Yes => Ok(settled),
        Committed::Unknown => Err(Trouble::Unknown(settled)),
    }
}

/// Everything except the commit. A batch whose appends are all refused is committed too: only then
/// is the data that they were refused by durable.
async fn write(
    db: &Database,
    session: &mut ClientSession,
    batch: Batch<'_>,
    faults: &dyn Faults,
) -> Result<Settled, Trouble> {
    let end = hold_head(db, session).await?;
    check_time(db, session, batch.known, &end).await?;
    let appends: Vec<&Append> = batch.appends.iter().map(AsRef::as_ref).collect();
    let other = other_clock(db, batch, end.at).await?;
    let known = Reader { db, session: &mut *session }.known(&appends).await?;
    let (from, head) = (end.frontier.size(), end.at);
    let mut draft = Draft::new(known, end, batch.version, batch.signer.clone());
    let mut answers = Vec::with_capacity(appends.len());
    for append in &appends {
        let refusal = other
            .filter(|_| is_after_a_rest(append.at, head))
            .and_then(|other| contradicted(append.at, other));
        if let Some(error) = refusal {
            answers.push(Err(AppendError::Store(error)));
            continue;
        }
        match faults.before_append(append) {
            Some(fault) => return Err(made(fault)),
            None => answers.push(draft.add(append)),
        }
    }
    let Draft { end, plan, .. } = draft;
    let (position, at) = (end.frontier.size(), end.at);
    if position != from {
        plan.write(db, session).await?;
        move_head(db, session, &end).await?;
    }
    match faults.before_commit(appends.len()).await {
        Some(fault) => Err(made(fault)),
        None => Ok(Settled { answers, position, at }),
    }
}

/// The database's clock, if an append is far ahead of the last event: after a rest, or because this
/// machine's clock is wrong.
async fn other_clock(
    db: &Database,
    batch: Batch<'_>,
    head: Timestamp,
) -> Result<Option<Timestamp>, DbError> {
    let is_ahead = |append: &Arc<Append>| is_after_a_rest(append.at, head);
    if !batch.asks_clock || !batch.appends.iter().any(is_ahead) {
        return Ok(None);
    }
    let said = db.run_command(doc! { "hello": 1 }).await?;
    let ms = said.get_datetime("localTime").ok().map(|time| time.timestamp_millis());
    Ok(ms.and_then(|ms| u64::try_from(ms).ok()).map(Timestamp))
}

fn made(fault: Fault) -> Trouble {
    match fault {
        Fault::Killed => Trouble::Killed,
        Fault::Statement => {
            Trouble::Failed(StoreError::Unavailable("a failpoint".to_owned()).into())
        }
    }
}

/// Takes the head. From here on any other commit conflicts at once. `touch` ensures that something
/// changes, because an update that changes nothing conflicts with nothing.
pub(super) async fn hold_head(db: &Database, session: &mut ClientSession) -> Result<End, DbError> {
    let heads = db.collection::<Document>(HEAD);
    let touch =
        heads.find_one_and_update(doc! { "_id": HEAD_ID }, doc! { "$inc": { "touch": 1_i64 } });
    let found = touch.return_document(ReturnDocument::After).session(session).await?;
    let head = found
        .ok_or_else(|| StoreError::Corrupt("collection log_head has no document".to_owned()))?;
    let (frontier, at) = head_of(head)?;
    Ok(End { frontier, at })
}

/// Refuses a head that has another time than the last event: the next event would take it over, and
/// sign it. Only after an append of another process is that event read.
async fn check_time(
    db: &Database,
    session: &mut ClientSession,
    known: Option<(u64, Timestamp)>,
    end: &End,
) -> Result<(), DbError> {
    let position = end.frontier.size();
    let at = match known.filter(|(known, _)| *known == position) {
        Some((_, at)) => Some(at),
        None => time_of(db, Some(session), position).await?,
    };
    if at == Some(end.at) { Ok(()) } else { Err(other_time(position).into()) }
}

/// The head has another time than the last event.
fn other_time(position: u64) -> StoreError {
    StoreError::Corrupt(format!(
        "collection log_head: the head has another time than the last event, at position \
         {position}: restore it from a backup"
    ))
}

async fn move_head(db: &Database, session: &mut ClientSession, end: &End) -> Result<(), DbError> {
    let set = doc! {
        "position": bound(end.frontier.size()),
        "at": bound(end.at.0),
        "frontier": binary(end.frontier.to_bytes()),
    };
    let heads = db.collection::<Document>(HEAD);
    heads.update_one(doc! { "_id": HEAD_ID }, doc! { "$set": set }).session(session).await?;
    Ok(())
}

/// Whether the events of a commit of unknown outcome are in the log. Runs in the session of that
/// commit, or in another after that session was ended: if the commit never arrived, its transaction
/// thereby ends, instead of holding the head for its lifetime. The head is held first: as long as
/// that commit may still happen, taking it is a conflict, so once it is taken the result is final.
pub(super) async fn look_up(
    db: &Database,
    session: &mut ClientSession,
    events: &[EventId],
) -> Result<bool, DbError> {
    session::begin(session).await?;
    let found = match hold_head(db, session).await {
        Ok(_) => Reader { db, session: &mut *session }.present(events.iter().copied()).await,
        Err(error) => Err(error),
    };
    let found = session::end(session, found).await?;
    Ok(events.iter().all(|event| found.contains(event)))
}

//! One try of a batch: one transaction, which updates the head first.

use super::decide::{Draft, End};
use super::known::Reader;
use crate::store::mongo::cells::bound;
use crate::store::mongo::error::DbError;
use crate::store::mongo::faults::{Fault, Faults};
use crate::store::mongo::read::head_of;
use crate::store::mongo::schema::{HEAD, HEAD_ID, binary};
use crate::store::mongo::session::{self, Committed};
use claviger_domain::event::EnvelopeVersion;
use claviger_domain::id::EventId;
use claviger_projections::ports::{Append, AppendError, Appended, StoreError};
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use mongodb::{ClientSession, Database};
use std::sync::{Arc, Mutex, PoisonError};

/// What each append of a batch is answered, in order.
pub(super) type Answers = Vec<Result<Appended, AppendError>>;

/// What a batch came to.
pub(super) struct Settled {
    /// The answers.
    pub(super) answers: Answers,
    /// Position of the end of the log.
    pub(super) position: u64,
}

/// Why a batch wasn't settled.
pub(super) enum Trouble {
    /// Nothing is in.
    Failed(DbError),
    /// The commit was sent and never answered: these events are in together with [`Settled`], or none is.
    Unknown(Settled),
    /// A test has killed this process.
    Killed,
}

impl<E: Into<DbError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// How far an attempt is, shared with whoever waits for it. One that is given up goes on alone, since a driver's future is never dropped
/// half-way; this makes sure that it doesn't commit behind the back of whoever has gone on.
#[derive(Default)]
pub(super) struct Progress(Mutex<Stage>);

#[derive(Default)]
enum Stage {
    /// Nothing can be in.
    #[default]
    Writing,
    /// The commit is under way; what the batch comes to if it goes through.
    Committing(Settled),
    /// Nobody waits any more.
    GivenUp,
}

impl Progress {
    fn change(&self, to: Stage) -> Stage {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), to)
    }

    /// Nobody waits any more. What may have been committed, if that was under way; if not, it never will.
    pub(super) fn give_up(&self) -> Option<Settled> {
        match self.change(Stage::GivenUp) {
            Stage::Committing(settled) => Some(settled),
            Stage::Writing | Stage::GivenUp => None,
        }
    }

    /// The commit begins; `false` if it must not.
    fn commits(&self, settled: Settled) -> bool {
        let mut stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited_for = !matches!(*stage, Stage::GivenUp);
        if waited_for {
            *stage = Stage::Committing(settled);
        }
        waited_for
    }
}

/// Tries a batch once.
pub(super) async fn attempt(
    db: &Database,
    session: &mut ClientSession,
    (appends, version): (&[Arc<Append>], EnvelopeVersion),
    faults: &dyn Faults,
    progress: &Progress,
) -> Result<Settled, Trouble> {
    session::begin(session).await?;
    let appends: Vec<&Append> = appends.iter().map(AsRef::as_ref).collect();
    let written = write(db, session, (&appends, version), faults).await;
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

/// Everything but the commit. A batch in which all are refused is committed too: only then is what they were refused by durable.
async fn write(
    db: &Database,
    session: &mut ClientSession,
    (appends, version): (&[&Append], EnvelopeVersion),
    faults: &dyn Faults,
) -> Result<Settled, Trouble> {
    let end = hold_head(db, session).await?;
    let known = Reader { db, session: &mut *session }.known(appends).await?;
    let from = end.frontier.size();
    let mut draft = Draft::new(known, end, version);
    let mut answers = Vec::with_capacity(appends.len());
    for append in appends {
        match faults.before_append(append) {
            Some(fault) => return Err(made(fault)),
            None => answers.push(draft.add(append)),
        }
    }
    let Draft { end, plan, .. } = draft;
    let position = end.frontier.size();
    if position != from {
        plan.write(db, session).await?;
        move_head(db, session, &end).await?;
    }
    match faults.before_commit(appends.len()).await {
        Some(fault) => Err(made(fault)),
        None => Ok(Settled { answers, position }),
    }
}

fn made(fault: Fault) -> Trouble {
    match fault {
        Fault::Killed => Trouble::Killed,
        Fault::Statement => {
            Trouble::Failed(StoreError::Unavailable("a failpoint".to_owned()).into())
        }
    }
}

/// Takes the head. From here on a commit of anybody else's is a conflict, at once; `touch` makes sure that something changes, because an
/// update that changes nothing conflicts with nothing.
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

/// Whether the events of a commit of unknown outcome are in. Asked in the session of that commit, or in another after that one was ended:
/// if it never arrived, its transaction ends by this, instead of holding the head for its lifetime. The head is held first: as long as
/// that commit may still happen, taking it is a conflict, so once it is taken the answer is final.
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

//! Advances and repairs of views: transactions of their own, beside the batcher's.

use super::changes::{self, stored};
use super::plan::Plan;
use super::transaction::hold_head;
use crate::mongo::cells::bound;
use crate::mongo::error::{DbError, is_duplicate};
use crate::mongo::process::Process;
use crate::mongo::read::{checkpoint_of, quarantine_id};
use crate::mongo::schema::{
    BY_OWNER, CHECKPOINTS, DEFAULTS, EVENTS, LEASES, QUARANTINE, VIEWS, by, id,
};
use crate::mongo::session::{self, Committed};
use claviger_domain::id::UserId;
use claviger_projections::ports::{
    Advance, AdvanceError, AppendError, Basis, Checkpoint, Quarantined, Replace, ReplaceError,
    RowChange, StoreError, ViewRow,
};
use mongodb::bson::{Document, doc};
use mongodb::{ClientSession, Database};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a transaction is retried.
const PATIENCE: Duration = Duration::from_secs(10);
/// Conflicts for this long may be caused by a stopped process; this is also how often it is looked
/// for.
const STOPPED: Duration = Duration::from_millis(500);
/// The shortest and the longest pause between two attempts.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// The work of one transaction.
pub(in crate::mongo) trait Step: Sync {
    /// Why nothing was written.
    type Refusal: Send;
    /// Everything except begin and commit.
    fn attempt(
        &self,
        db: &Database,
        session: &mut ClientSession,
    ) -> impl Future<Output = Result<Result<(), Self::Refusal>, DbError>> + Send;
}

/// Runs a transaction until it commits or is refused; a refusal aborts it. The step may run several
/// times. After a commit of unknown outcome nothing is repeated: the caller reads the checkpoint. A
/// process that was killed in its own transaction may be in the way: then its sessions are ended.
pub(in crate::mongo) async fn settle<S: Step>(
    process: &Process,
    step: &S,
) -> Result<Result<(), S::Refusal>, DbError> {
    let began = Instant::now();
    let (mut pause, mut next_look) = (PAUSE.0, STOPPED);
    let mut lent = process.lend().await?;
    loop {
        let error = match attempt(process.database(), &mut lent.session, step).await {
            Ok(Settled::Done(answer)) => {
                lent.give_back();
                return Ok(answer);
            }
            Ok(Settled::Unknown) => {
                return Err(StoreError::Unavailable(
                    "it is unknown whether MongoDB committed: check again".to_owned(),
                )
                .into());
            }
            Err(error) => error,
        };
        let again =
            error.is_transient() || matches!(&error, DbError::Mongo(error) if is_duplicate(error));
        if !again || began.elapsed() >= PATIENCE {
            lent.give_back();
            return Err(error);
        }
        if began.elapsed() >= next_look {
            next_look = began.elapsed() + STOPPED;
            if let Err(error) = process.end_lapsed().await {
                tracing::warn!(error = %StoreError::from(error), "the process that blocks a view cannot be looked for");
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

enum Settled<R> {
    /// Committed, or refused.
    Done(Result<(), R>),
    /// The outcome is unknown.
    Unknown,
}

/// One attempt. It leaves no transaction open, as far as that can be known.
async fn attempt<S: Step>(
    db: &Database,
    session: &mut ClientSession,
    step: &S,
) -> Result<Settled<S::Refusal>, DbError> {
    session::begin(session).await?;
    let tried = step.attempt(db, session).await;
    if let Ok(Ok(())) = tried {
        return Ok(match session::commit(session).await {
            Committed::Yes => Settled::Done(Ok(())),
            Committed::Unknown => Settled::Unknown,
        });
    }
    session::abort(session).await;
    tried.map(Settled::Done)
}

impl Step for Advance {
    type Refusal = AdvanceError;

    async fn attempt(
        &self,
        db: &Database,
        session: &mut ClientSession,
    ) -> Result<Result<(), AdvanceError>, DbError> {
        advance(db, session, self).await
    }
}

impl Step for Replace {
    type Refusal = ReplaceError;

    async fn attempt(
        &self,
        db: &Database,
        session: &mut ClientSession,
    ) -> Result<Result<(), ReplaceError>, DbError> {
        replace(db, session, self).await
    }
}

async fn advance(
    db: &Database,
    session: &mut ClientSession,
    advance: &Advance,
) -> Result<Result<(), AdvanceError>, DbError> {
    // Written, not only read: a lease that changes hands before the commit is a conflict.
    let newest =
        doc! { "_id": advance.fence.lease.to_string(), "token": bound(advance.fence.token) };
    let leases = db.collection::<Document>(LEASES);
    if leases
        .find_one_and_update(newest, doc! { "$inc": { "touch": 1_i64 } })
        .session(&mut *session)
        .await?
        .is_none()
    {
        return Ok(Err(AdvanceError::Fenced));
    }
    let at = checkpoint(db, session, advance.view).await?;
    if at != advance.from {
        return Ok(Err(AdvanceError::Moved { at }));
    }
    put_checkpoint(db, session, advance.view, Checkpoint { position: advance.to, ..at }).await?;
    let changes = &advance.changes;
    for owner in &changes.wiped {
        wipe(db, session, advance.view, *owner).await?;
    }
    let deleted = changes.deleted.iter();
    let deleted = deleted.map(|(owner, id)| RowChange::DeleteView {
        view: advance.view,
        owner: *owner,
        id: *id,
    });
    write(db, session, deleted.chain(puts(&changes.put))).await?;
    quarantine(db, session, advance.view, &changes.quarantined).await?;
    Ok(Ok(()))
}

async fn replace(
    db: &Database,
    session: &mut ClientSession,
    replace: &Replace,
) -> Result<Result<(), ReplaceError>, DbError> {
    let Replace { view, owner, .. } = replace;
    match replace.basis {
        Basis::Inline { last } => {
            // From here on no append commits before this transaction.
            hold_head(db, session).await?;
            if last_of(db, session, *owner).await? != last {
                return Ok(Err(ReplaceError::Moved));
            }
        }
        Basis::Followed { position } => {
            let at = checkpoint(db, session, view).await?;
            let between = doc! { "owner": id(owner.0), "position": { "$gt": bound(position), "$lte": bound(at.position) } };
            let events = db.collection::<Document>(EVENTS);
            let newer = events
                .find_one(between)
                .hint(by(BY_OWNER))
                .projection(doc! { "_id": 1 })
                .session(&mut *session)
                .await?;
            if at.position < position || newer.is_some() {
                return Ok(Err(ReplaceError::Moved));
            }
            put_checkpoint(db, session, view, Checkpoint { repairs: at.repairs + 1, ..at }).await?;
        }
    }
    wipe(db, session, view, *owner).await?;
    let mut rows: Vec<RowChange> = puts(&replace.rows).collect();
    if let Some(defaults) = &replace.defaults {
        db.collection::<Document>(DEFAULTS)
            .delete_many(doc! { "owner": id(owner.0) })
            .session(&mut *session)
            .await?;
        rows.extend(defaults.iter().map(|(tag, key)| RowChange::PutDefault {
            owner: *owner,
            tag: *tag,
            key: *key,
        }));
    }
    write(db, session, rows.into_iter()).await?;
    quarantine(db, session, view, &replace.quarantined).await?;
    Ok(Ok(()))
}

fn puts(rows: &[ViewRow]) -> impl Iterator<Item = RowChange> {
    rows.iter().cloned().map(RowChange::PutView)
}

async fn checkpoint(
    db: &Database,
    session: &mut ClientSession,
    view: &str,
) -> Result<Checkpoint, DbError> {
    let found = db
        .collection::<Document>(CHECKPOINTS)
        .find_one(doc! { "_id": view })
        .session(session)
        .await?;
    Ok(found.map_or(Ok(Checkpoint::default()), checkpoint_of)?)
}

async fn put_checkpoint(
    db: &Database,
    session: &mut ClientSession,
    view: &str,
    at: Checkpoint,
) -> Result<(), DbError> {
    let set = doc! { "$set": { "position": bound(at.position), "repairs": bound(at.repairs) } };
    let checkpoints = db.collection::<Document>(CHECKPOINTS);
    checkpoints.update_one(doc! { "_id": view }, set).upsert(true).session(session).await?;
    Ok(())
}

/// Position of an owner's last event.
async fn last_of(
    db: &Database,
    session: &mut ClientSession,
    owner: UserId,
) -> Result<u64, DbError> {
    let events = db.collection::<Document>(EVENTS);
    let last = events
        .find_one(doc! { "owner": id(owner.0) })
        .sort(doc! { "position": -1 })
        .projection(doc! { "position": 1 });
    Ok(match last.session(session).await? {
        Some(last) => crate::mongo::cells::Cells::new(EVENTS, last).u64("position")?,
        None => 0,
    })
}

async fn wipe(
    db: &Database,
    session: &mut ClientSession,
    view: &str,
    owner: UserId,
) -> Result<(), DbError> {
    for collection in [VIEWS, QUARANTINE] {
        let all = doc! { "view": view, "owner": id(owner.0) };
        db.collection::<Document>(collection).delete_many(all).session(&mut *session).await?;
    }
    Ok(())
}

async fn write(
    db: &Database,
    session: &mut ClientSession,
    rows: impl Iterator<Item = RowChange> + Send,
) -> Result<(), DbError> {
    let mut plan = Plan::default();
    for row in rows {
        // Only a store key needs the position, and no row of a view is one.
        for change in changes::of(&row, 0).map_err(unstorable)? {
            plan.change(change);
        }
    }
    plan.write(db, session).await
}

async fn quarantine(
    db: &Database,
    session: &mut ClientSession,
    view: &str,
    rows: &[Quarantined],
) -> Result<(), DbError> {
    let mut plan = Plan::default();
    for row in rows {
        let key = quarantine_id(view, row.owner, row.id);
        let document = doc! {
            "_id": key.clone(),
            "view": view,
            "owner": id(row.owner.0),
            "id": id(row.id),
            "position": stored(row.position).map_err(unstorable)?,
            "reason": row.reason.as_str(),
        };
        plan.change(changes::Change::Put {
            collection: QUARANTINE,
            id: key,
            owner: Some(row.owner),
            document,
            is_new: false,
        });
    }
    plan.write(db, session).await
}

fn unstorable(error: AppendError) -> DbError {
    match error {
        AppendError::Store(error) => error.into(),
        AppendError::Conflict { .. }
        | AppendError::Unmet(_)
        | AppendError::ClaimTaken { .. }
        | AppendError::Repeated(_)
        | AppendError::Malformed(_)
        | AppendError::NotReadByAll { .. }
        | AppendError::UserKeyMoved { .. }
        | AppendError::MasterKeyMoved { .. } => {
            StoreError::Unavailable("a value cannot be stored".to_owned()).into()
        }
    }
}

//! Checkpoints and quarantined rows of views that are written after their events, and the owners
//! that a repair visits.

use super::rows::{but_corrupt, many_but_corrupt};
use crate::mongo::cells::Cells;
use crate::mongo::error::DbError;
use crate::mongo::schema::{CHECKPOINTS, QUARANTINE, USER_KEYS, id};
use crate::skipped::Skipped;
use claviger_domain::id::UserId;
use claviger_projections::ports::{Checkpoint, PoisonReason, Quarantined, StoreError};
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

/// The checkpoint a document holds.
pub(in crate::mongo) fn checkpoint_of(document: Document) -> Result<Checkpoint, StoreError> {
    checkpoint_row(&Cells::new(CHECKPOINTS, document))
}

pub(super) fn checkpoint_row(cells: &Cells) -> Result<Checkpoint, StoreError> {
    Ok(Checkpoint { position: cells.u64("position")?, repairs: cells.u64("repairs")? })
}

/// How far a view has followed the log.
pub(in crate::mongo) async fn checkpoint(
    db: &Database,
    view: &'static str,
) -> Result<Checkpoint, DbError> {
    let found = db.collection::<Document>(CHECKPOINTS).find_one(doc! { "_id": view }).await?;
    Ok(found.map_or(Ok(Checkpoint::default()), checkpoint_of)?)
}

/// `_id` of a quarantine.
pub(in crate::mongo) fn quarantine_id(view: &str, owner: UserId, row: Uuid) -> Bson {
    doc! { "w": view, "o": id(owner.0), "i": id(row) }.into()
}

/// Quarantined rows of a view.
pub(in crate::mongo) async fn quarantined(
    db: &Database,
    view: &'static str,
    limit: usize,
    skipped: &Skipped,
) -> Result<Vec<Quarantined>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let held = (doc! { "view": view }, doc! { "owner": 1, "id": 1 });
    many_but_corrupt(db, QUARANTINE, held, (limit, skipped), |cells| {
        let (owner, id, position) =
            (UserId(cells.id("owner")?), cells.id("id")?, cells.u64("position")?);
        let reason =
            PoisonReason::parse(cells.text("reason")?).ok_or_else(|| cells.corrupt("reason"))?;
        Ok(Quarantined { owner, id, position, reason })
    })
    .await
}

/// How many rows of a view are quarantined.
pub(in crate::mongo) async fn count_quarantined(
    db: &Database,
    view: &'static str,
) -> Result<u64, DbError> {
    Ok(db.collection::<Document>(QUARANTINE).count_documents(doc! { "view": view }).await?)
}

/// Owners that have a user key.
pub(in crate::mongo) async fn owners_with_keys(
    db: &Database,
    after: Option<UserId>,
    limit: usize,
    skipped: &Skipped,
) -> Result<Vec<UserId>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let wanted = after.map_or_else(Document::new, |after| doc! { "owner": { "$gt": id(after.0) } });
    let stages = [
        doc! { "$match": wanted },
        doc! { "$group": { "_id": "$owner" } },
        doc! { "$sort": { "_id": 1 } },
    ];
    let cursor = db.collection::<Document>(USER_KEYS).aggregate(stages).await?;
    but_corrupt(cursor, USER_KEYS, (limit, skipped), |cells| cells.id("_id").map(UserId)).await
}

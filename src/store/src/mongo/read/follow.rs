//! Checkpoints and quarantined rows of views that are written after their events, and the owners
//! that a repair visits.

use crate::mongo::cells::{Cells, limit as at_most};
use crate::mongo::error::DbError;
use crate::mongo::schema::{CHECKPOINTS, QUARANTINE, USER_KEYS, id};
use claviger_domain::id::UserId;
use claviger_projections::ports::{Checkpoint, PoisonReason, Quarantined, StoreError};
use futures::TryStreamExt;
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
) -> Result<Vec<Quarantined>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let collection = db.collection::<Document>(QUARANTINE);
    let cursor = collection
        .find(doc! { "view": view })
        .sort(doc! { "owner": 1, "id": 1 })
        .limit(at_most(limit))
        .await?;
    let documents: Vec<Document> = cursor.try_collect().await?;
    let read = |document| {
        let cells = Cells::new(QUARANTINE, document);
        let (owner, id, position) =
            (UserId(cells.id("owner")?), cells.id("id")?, cells.u64("position")?);
        let reason =
            PoisonReason::parse(cells.text("reason")?).ok_or_else(|| cells.corrupt("reason"))?;
        Ok(Quarantined { owner, id, position, reason })
    };
    Ok(documents.into_iter().map(read).collect::<Result<_, StoreError>>()?)
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
) -> Result<Vec<UserId>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let wanted = after.map_or_else(Document::new, |after| doc! { "owner": { "$gt": id(after.0) } });
    let stages = [
        doc! { "$match": wanted },
        doc! { "$group": { "_id": "$owner" } },
        doc! { "$sort": { "_id": 1 } },
        doc! { "$limit": at_most(limit) },
    ];
    let documents: Vec<Document> =
        db.collection::<Document>(USER_KEYS).aggregate(stages).await?.try_collect().await?;
    let read = |document| Cells::new(USER_KEYS, document).id("_id").map(UserId);
    Ok(documents.into_iter().map(read).collect::<Result<_, StoreError>>()?)
}

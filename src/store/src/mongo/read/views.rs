//! Queries of views.

use super::rows::{batch_of, but_corrupt, many_but_corrupt};
use crate::mongo::cells::{Cells, bound};
use crate::mongo::error::DbError;
use crate::mongo::schema::{BY_SORT, DEFAULTS, VIEWS, binary, by, id};
use crate::mongo::session;
use crate::skipped::Skipped;
use claviger_domain::id::{ContextTag, KeyId, UserId};
use claviger_projections::ports::{Page, PageOf, StoreError, ViewRow};
use futures::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

/// `_id` of a row: bytes, which make a smaller index than a document of three fields, and which
/// servers that do not index documents can search.
pub(in crate::mongo) fn view_key(view: &str, owner: UserId, row: Uuid) -> Bson {
    binary([owner.0.as_bytes(), row.as_bytes(), view.as_bytes()].concat())
}

/// `_id` of a default.
pub(in crate::mongo) fn default_id(owner: UserId, tag: ContextTag) -> Bson {
    doc! { "o": id(owner.0), "t": binary(tag.0.to_vec()) }.into()
}

/// A page of an owner's rows with their total, from one snapshot.
pub(in crate::mongo) async fn page(
    db: &Database,
    view: &'static str,
    owner: UserId,
    page: Page,
    skipped: &Skipped,
) -> Result<PageOf, DbError> {
    let all = doc! { "view": view, "owner": id(owner.0) };
    let mut within = all.clone();
    let bounds: Vec<Document> = [
        page.after.map(|place| beyond("$lt", place)),
        page.before.map(|place| beyond("$gt", place)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !bounds.is_empty() {
        within.insert("$and", bounds);
    }
    let order = if page.from_end { 1 } else { -1 };
    // One more than requested shows whether there are more.
    let wanted = page.limit.saturating_add(1);
    let views = db.collection::<Document>(VIEWS);
    let mut snapshot = session::snapshot(db.client()).await?;
    let find = views.find(within).sort(doc! { "sort": order, "id": order });
    let find = find.batch_size(batch_of(wanted)).hint(by(BY_SORT));
    let read = async {
        let mut cursor = find.session(&mut snapshot).await?;
        let (mut rows, mut documents) = (Vec::new(), cursor.stream(&mut snapshot));
        while rows.len() < wanted
            && let Some(document) = documents.try_next().await?
        {
            rows.extend(skipped.unless_corrupt(view_row(view, &Cells::new(VIEWS, document))));
        }
        drop(documents);
        let count = views.count_documents(all).hint(by(BY_SORT)).session(&mut snapshot).await?;
        Ok::<_, DbError>((rows, count))
    };
    let read = read.await;
    let (mut rows, total) = session::end(&mut snapshot, read).await?;
    let more = rows.len() > page.limit;
    rows.truncate(page.limit);
    if page.from_end {
        rows.reverse();
    }
    Ok(PageOf { rows, total, more })
}

/// Strictly on one side of a place in the order (sort, id).
fn beyond(side: &str, (sort, row): (u64, Uuid)) -> Document {
    let sort = bound(sort);
    doc! { "$or": [{ "sort": { side: sort } }, { "sort": sort, "id": { side: id(row) } }] }
}

pub(in crate::mongo) async fn view_row_of(
    db: &Database,
    view: &'static str,
    owner: UserId,
    row: Uuid,
) -> Result<Option<ViewRow>, DbError> {
    let found = db
        .collection::<Document>(VIEWS)
        .find_one(doc! { "_id": view_key(view, owner, row) })
        .await?;
    Ok(found.map(|document| view_row(view, &Cells::new(VIEWS, document))).transpose()?)
}

fn view_row(view: &'static str, cells: &Cells) -> Result<ViewRow, StoreError> {
    let (owner, id) = (UserId(cells.id("owner")?), cells.id("id")?);
    // It is written, and a list continued, by its key.
    if !cells.is(&view_key(view, owner, id)) {
        return Err(cells.corrupt("_id"));
    }
    Ok(ViewRow {
        view,
        owner,
        id,
        sort: cells.u64("sort")?,
        stream: cells.stream("stream")?,
        facts: cells.bytes("facts")?.to_vec(),
        content: cells.opt_bytes("content")?.map(<[u8]>::to_vec),
    })
}

pub(in crate::mongo) async fn default_key(
    db: &Database,
    owner: UserId,
    tag: ContextTag,
) -> Result<Option<KeyId>, DbError> {
    let found = db
        .collection::<Document>(DEFAULTS)
        .find_one(doc! { "_id": default_id(owner, tag) })
        .await?;
    Ok(found.map(|document| Cells::new(DEFAULTS, document).id("key").map(KeyId)).transpose()?)
}

pub(in crate::mongo) async fn defaults(
    db: &Database,
    owner: UserId,
) -> Result<Vec<(ContextTag, KeyId)>, DbError> {
    let cursor = db
        .collection::<Document>(DEFAULTS)
        .find(doc! { "owner": id(owner.0) })
        .sort(doc! { "tag": 1 })
        .await?;
    let documents: Vec<Document> = cursor.try_collect().await?;
    let read = |document| {
        let cells = Cells::new(DEFAULTS, document);
        Ok((ContextTag(cells.array("tag")?), KeyId(cells.id("key")?)))
    };
    Ok(documents.into_iter().map(read).collect::<Result<_, StoreError>>()?)
}

/// Owners that have rows in a view.
pub(in crate::mongo) async fn owners(
    db: &Database,
    view: &'static str,
    after: Option<UserId>,
    limit: usize,
    skipped: &Skipped,
) -> Result<Vec<UserId>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut wanted = doc! { "view": view };
    if let Some(after) = after {
        wanted.insert("owner", doc! { "$gt": id(after.0) });
    }
    let stages = [
        doc! { "$match": wanted },
        doc! { "$group": { "_id": "$owner" } },
        doc! { "$sort": { "_id": 1 } },
    ];
    let cursor = db.collection::<Document>(VIEWS).aggregate(stages).await?;
    but_corrupt(cursor, VIEWS, (limit, skipped), |cells| cells.id("_id").map(UserId)).await
}

/// Rows of a view, of all owners. Their keys are ordered by length first, then by owner and id:
/// between two keys of this view lie only keys of views whose names have the same length.
pub(in crate::mongo) async fn rows_of_all(
    db: &Database,
    view: &'static str,
    after: Option<(UserId, Uuid)>,
    limit: usize,
    skipped: &Skipped,
) -> Result<Vec<ViewRow>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut between = doc! { "$lte": view_key(view, UserId(Uuid::max()), Uuid::max()) };
    match after {
        Some((owner, row)) => between.insert("$gt", view_key(view, owner, row)),
        None => between.insert("$gte", view_key(view, UserId(Uuid::nil()), Uuid::nil())),
    };
    let of_view = (doc! { "view": view, "_id": between }, doc! { "_id": 1 });
    many_but_corrupt(db, VIEWS, of_view, (limit, skipped), |cells| view_row(view, cells)).await
}

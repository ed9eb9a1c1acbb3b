//! Every document of every collection, for auditors: those that cannot be read are passed on as
//! such. Many documents hold the parts of their `_id` again, as fields for searches: where the two
//! differ, the document cannot be read.

use super::deltas::{delta_row, key as delta_key};
use super::events::{claim_kind_of, part_id, parts, record_of, stored_event, take_parts};
use super::follow::{checkpoint_row, quarantine_id};
use super::rotation::user_key_state;
use super::rows::{
    content_key_row, credential_row, index_key_row, secret_key, secret_row, session_row, store_key,
    timer_key, timer_row, user_key_id,
};
use super::views::{default_id, view_key};
use crate::mongo::boot::number;
use crate::mongo::cells::Cells;
use crate::mongo::error::DbError;
use crate::mongo::schema::required;
use claviger_domain::id::{ContextTag, KeyId, UserId};
use claviger_projections::ports::{
    ClaimRow, Inspected, Mark, MarkPart, PoisonReason, Quarantined, StoreError, StoredRow, Table,
    Unreadable,
};
use futures::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};

/// The next documents of a collection.
pub(in crate::mongo) async fn inspect(
    db: &Database,
    table: Table,
    after: Option<Mark>,
    bytes: usize,
) -> Result<Inspected, DbError> {
    if table == Table::Required {
        return requirements(db).await;
    }
    let key = if table == Table::Events { "position" } else { "_id" };
    let documents = db.collection::<Document>(table.name());
    let mut page = Inspected::default();
    let filter = if let Some(last) = last_key(after)? {
        doc! { key: { "$gt": last } }
    } else {
        // A comparison finds values of its own type only: keys of other types come first.
        let strays = doc! { key: { "$not": { "$type": key_types(table) } } };
        let strays: Vec<Document> = documents.find(strays).await?.try_collect().await?;
        page.rows.extend(strays.into_iter().map(|stray| Err(unreadable(table, stray, key))));
        doc! { key: { "$type": key_types(table) } }
    };
    let mut found = documents.find(filter).sort(doc! { key: 1 }).await?;
    let mut size = 0;
    while let Some(document) = found.try_next().await? {
        let last = document.get(key).cloned();
        size += document.to_vec().map_or(bytes, |encoded| encoded.len());
        let position = last.as_ref().and_then(|last| position(table, last));
        let row = if table == Table::Events {
            event(db, document).await?
        } else {
            row(table, &Cells::new(table.name(), document))
        };
        if let Ok(StoredRow::Event(event)) = &row
            && event.content.len() > 1
        {
            size += event.content.iter().map(Vec::len).sum::<usize>();
        }
        page.rows.push(row.map_err(|error| Unreadable { position, error }));
        if size >= bytes {
            page.next = last.map(mark).transpose()?;
            break;
        }
    }
    Ok(page)
}

/// The types that the keys of a collection have.
fn key_types(table: Table) -> Vec<&'static str> {
    match table {
        Table::Events => vec!["int", "long"],
        Table::Parts
        | Table::Claims
        | Table::UserKeys
        | Table::Secrets
        | Table::Timers
        | Table::Defaults
        | Table::Quarantine
        | Table::Deltas => vec!["object"],
        Table::Commands
        | Table::IndexKeys
        | Table::Credentials
        | Table::Sessions
        | Table::Views
        | Table::StoreKeys => vec!["binData"],
        Table::ContentKeys | Table::Checkpoints | Table::Required => vec!["string"],
    }
}

fn unreadable(table: Table, document: Document, key: &str) -> Unreadable {
    Unreadable { position: None, error: Cells::new(table.name(), document).corrupt(key) }
}

fn position(table: Table, key: &Bson) -> Option<u64> {
    let number = (table == Table::Events).then(|| number(Some(key)))?;
    number.and_then(|number| u64::try_from(number).ok())
}

fn mark(key: Bson) -> Result<Mark, StoreError> {
    let bytes = doc! { "key": key }.to_vec();
    let bytes =
        bytes.map_err(|_| StoreError::Corrupt("a key that cannot be encoded".to_owned()))?;
    Ok(Mark(vec![MarkPart::Bytes(bytes)]))
}

fn last_key(mark: Option<Mark>) -> Result<Option<Bson>, StoreError> {
    let Some(mark) = mark else { return Ok(None) };
    let key = match mark.0.first() {
        Some(MarkPart::Bytes(bytes)) => Document::from_reader(bytes.as_slice()).ok(),
        Some(MarkPart::Number(_) | MarkPart::Text(_)) | None => None,
    };
    let key = key.and_then(|mut key| key.remove("key"));
    key.map(Some).ok_or_else(|| StoreError::Corrupt("a mark of another store".to_owned()))
}

async fn requirements(db: &Database) -> Result<Inspected, DbError> {
    let rows = required(db).await?.into_iter();
    let rows = rows.map(|(requirement, program)| Ok(StoredRow::Required(requirement, program)));
    Ok(Inspected { rows: rows.collect(), next: None })
}

/// An event with its boxes, which may be documents of another collection.
async fn event(
    db: &Database,
    document: Document,
) -> Result<Result<StoredRow, StoreError>, DbError> {
    let (mut event, boxes) = match stored_event(document) {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    if boxes > 1 {
        let position = event.envelope.position;
        let found = match parts(db, &[(position, boxes)]).await {
            Ok(mut found) => take_parts(&mut found, position, boxes),
            Err(DbError::Store(error)) => Err(error),
            Err(error) => return Err(error),
        };
        match found {
            Ok(content) => event.content = content,
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(StoredRow::Event(Box::new(event))))
}

fn row(table: Table, cells: &Cells) -> Result<StoredRow, StoreError> {
    match table {
        // Read elsewhere.
        Table::Events | Table::Required => Err(cells.corrupt("_id")),
        Table::Parts => part(cells),
        Table::Claims => claim(cells),
        Table::Commands => record_of(cells).map(|record| StoredRow::Command(Box::new(record))),
        Table::UserKeys => {
            let state = user_key_state(cells)?;
            same(cells, &user_key_id(state.row.owner, state.row.version))?;
            Ok(StoredRow::UserKey(state))
        }
        Table::IndexKeys => index_key_row(cells).map(StoredRow::IndexKey),
        Table::ContentKeys => content_key_row(cells).map(StoredRow::ContentKey),
        Table::Secrets => secret(cells),
        Table::Credentials => credential_row(cells).map(StoredRow::Credential),
        Table::Sessions => session_row(cells).map(StoredRow::Session),
        Table::Timers => {
            let row = timer_row(cells)?;
            same(cells, &timer_key(row.kind, row.owner, row.subject))?;
            Ok(StoredRow::Timer(row))
        }
        Table::Views => view(cells),
        Table::Defaults => default_key(cells),
        Table::Checkpoints => {
            let at = checkpoint_row(cells)?;
            Ok(StoredRow::Checkpoint(cells.text("_id")?.to_owned(), at))
        }
        Table::Quarantine => quarantined(cells),
        Table::Deltas => {
            let row = delta_row(cells)?;
            same(cells, &delta_key(row.place).into())?;
            Ok(StoredRow::Delta(row))
        }
        Table::StoreKeys => Ok(StoredRow::StoreKey(store_key(cells)?, cells.u64("seq")?)),
    }
}

/// Whether the document's `_id` says what its fields say.
fn same(cells: &Cells, id: &Bson) -> Result<(), StoreError> {
    if cells.is(id) { Ok(()) } else { Err(cells.corrupt("_id")) }
}

fn part(cells: &Cells) -> Result<StoredRow, StoreError> {
    let key = cells.key()?;
    let (position, part) = (key.u64("p")?, key.u64("n")?);
    same(cells, &part_id(position, part))?;
    cells.bytes("box")?;
    Ok(StoredRow::Part(position, part))
}

fn claim(cells: &Cells) -> Result<StoredRow, StoreError> {
    let key = cells.key()?;
    let kind = claim_kind_of(key.u64("k")?).ok_or_else(|| key.corrupt("k"))?;
    let (hash, holder) = (key.array("h")?, UserId(cells.id("holder")?));
    Ok(StoredRow::Claim(ClaimRow { kind, hash, holder, subject: cells.id("subject")? }))
}

fn secret(cells: &Cells) -> Result<StoredRow, StoreError> {
    let row = secret_row(cells)?;
    same(cells, &secret_key(row.owner, row.key, row.secret_version))?;
    if cells.id("owner")? != row.owner.0 {
        return Err(cells.corrupt("owner"));
    }
    Ok(StoredRow::Secret(row))
}

fn view(cells: &Cells) -> Result<StoredRow, StoreError> {
    let (view, owner, id) = (cells.text("view")?, UserId(cells.id("owner")?), cells.id("id")?);
    same(cells, &view_key(view, owner, id))?;
    cells.u64("sort")?;
    cells.stream("stream")?;
    cells.bytes("facts")?;
    cells.opt_bytes("content")?;
    Ok(StoredRow::View { view: view.to_owned(), owner, id })
}

fn default_key(cells: &Cells) -> Result<StoredRow, StoreError> {
    let (owner, tag) = (UserId(cells.id("owner")?), ContextTag(cells.array("tag")?));
    same(cells, &default_id(owner, tag))?;
    Ok(StoredRow::Default(owner, tag, KeyId(cells.id("key")?)))
}

fn quarantined(cells: &Cells) -> Result<StoredRow, StoreError> {
    let (view, owner, id) = (cells.text("view")?, UserId(cells.id("owner")?), cells.id("id")?);
    same(cells, &quarantine_id(view, owner, id))?;
    let position = cells.u64("position")?;
    let reason =
        PoisonReason::parse(cells.text("reason")?).ok_or_else(|| cells.corrupt("reason"))?;
    Ok(StoredRow::Quarantined(view.to_owned(), Quarantined { owner, id, position, reason }))
}

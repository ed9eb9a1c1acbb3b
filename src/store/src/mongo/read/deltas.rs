//! Rows of a run's streamed text. They are inserted outside the transactions of appends: only their
//! own keys order them.

use super::timer_key;
use crate::mongo::cells::{Cells, bound, limit as at_most};
use crate::mongo::error::DbError;
use crate::mongo::schema::{BY_PLACE, DELTAS, TIMERS, binary, by, id};
use claviger_domain::id::{RunId, UserId};
use claviger_projections::ports::{DeltaPlace, DeltaRow, StoreError, TimerKind};
use futures::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};

/// The server's code for a duplicate key.
const DUPLICATE_KEY: i32 = 11_000;

/// Inserts the missing rows; returns the places that hold other rows. Every row is attempted,
/// even if an earlier one failed. Idempotent by the rows' keys: a duplicate is compared with
/// the stored row, so a retry finds its own.
pub(in crate::mongo) async fn flush(
    db: &Database,
    rows: Vec<DeltaRow>,
) -> Result<Vec<DeltaPlace>, DbError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let documents: Vec<_> = rows.iter().map(document).collect::<Result<_, _>>()?;
    match db.collection::<Document>(DELTAS).insert_many(documents).ordered(false).await {
        Ok(_) => return Ok(Vec::new()),
        Err(error) if is_duplicates_only(&error) => {}
        Err(error) => return Err(error.into()),
    }
    let mut taken = Vec::new();
    for row in &rows {
        let found =
            db.collection::<Document>(DELTAS).find_one(doc! { "_id": key(row.place) }).await?;
        // Not on a majority yet, so it may still be rolled back.
        let found = found.ok_or_else(|| {
            StoreError::Unavailable("a row of text is being written: try again".to_owned())
        })?;
        let found = delta_row(&Cells::new(DELTAS, found))?;
        if found.owner != row.owner || found.sealed != row.sealed {
            taken.push(row.place);
        }
    }
    Ok(taken)
}

/// Whether duplicates are the only errors. A failed write concern leaves doubt.
fn is_duplicates_only(error: &Error) -> bool {
    let ErrorKind::InsertMany(many) = error.kind.as_ref() else { return false };
    let errors = many.write_errors.as_deref().unwrap_or_default();
    many.write_concern_error.is_none()
        && !errors.is_empty()
        && errors.iter().all(|error| error.code == DUPLICATE_KEY)
}

pub(super) fn key(place: DeltaPlace) -> Document {
    doc! { "r": id(place.run.0), "v": bound(place.v), "d": bound(place.d) }
}

fn document(row: &DeltaRow) -> Result<Document, StoreError> {
    let stored = |number: u64| {
        i64::try_from(number)
            .map_err(|_| StoreError::Unavailable("a value cannot be stored".to_owned()))
    };
    Ok(doc! {
        "_id": key(row.place),
        "run": id(row.place.run.0),
        "v": stored(row.place.v)?,
        "d": stored(row.place.d)?,
        "owner": id(row.owner.0),
        "sealed": binary(row.sealed.clone()),
        "at": stored(row.at.0)?,
    })
}

pub(super) fn delta_row(cells: &Cells) -> Result<DeltaRow, StoreError> {
    Ok(DeltaRow {
        place: DeltaPlace { run: RunId(cells.id("run")?), v: cells.u64("v")?, d: cells.u64("d")? },
        owner: UserId(cells.id("owner")?),
        sealed: cells.bytes("sealed")?.to_vec(),
        at: cells.time("at")?,
    })
}

/// Rows of a run after a place, in order.
pub(in crate::mongo) async fn deltas(
    db: &Database,
    run: RunId,
    (v, d): (u64, u64),
    limit: usize,
) -> Result<Vec<DeltaRow>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let (v, d) = (bound(v), bound(d));
    let behind =
        doc! { "run": id(run.0), "$or": [{ "v": { "$gt": v } }, { "v": v, "d": { "$gt": d } }] };
    let found = db
        .collection::<Document>(DELTAS)
        .find(behind)
        .sort(doc! { "v": 1, "d": 1 })
        .limit(at_most(limit))
        .await?;
    let documents: Vec<Document> = found.try_collect().await?;
    let row = |document| delta_row(&Cells::new(DELTAS, document));
    Ok(documents.into_iter().map(row).collect::<Result<_, _>>()?)
}

/// The number of consecutive rows after an event, up to the first that is missing.
pub(in crate::mongo) async fn count_deltas(
    db: &Database,
    run: RunId,
    v: u64,
) -> Result<u64, DbError> {
    let after = doc! { "run": id(run.0), "v": bound(v) };
    let found = db
        .collection::<Document>(DELTAS)
        .find(after)
        .sort(doc! { "d": 1 })
        .projection(doc! { "d": 1 })
        .await?;
    let documents: Vec<Document> = found.try_collect().await?;
    let found = documents.into_iter().map(|document| Cells::new(DELTAS, document).u64("d"));
    let found: Vec<u64> = found.collect::<Result<_, StoreError>>()?;
    Ok((1..).zip(found).take_while(|(expected, d)| expected == d).count() as u64)
}

/// Deletes a run's rows, then their expiry timer: a crash in between leaves the timer, and the
/// deletion is repeated.
pub(in crate::mongo) async fn expire_deltas(
    db: &Database,
    owner: UserId,
    run: RunId,
) -> Result<u64, DbError> {
    let rows = doc! { "run": id(run.0), "owner": id(owner.0) };
    // By the run's place: by the owner's index, every row of text that the owner has would be read.
    let deltas = db.collection::<Document>(DELTAS);
    let deleted = deltas.delete_many(rows).hint(by(BY_PLACE)).await?.deleted_count;
    let timer = timer_key(TimerKind::DeltaExpiry, owner, run.0);
    db.collection::<Document>(TIMERS).delete_one(doc! { "_id": timer }).await?;
    Ok(deleted)
}

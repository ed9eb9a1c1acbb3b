//! Leases on MongoDB: one document each, changed by pipelines that use the server's own clock.

use super::cells::{Cells, bound};
use super::error::{DbError, is_duplicate};
use super::schema::{LEASES, id};
use claviger_projections::ports::{Hold, Holder, LeaseName};
use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use std::time::Duration;
use tokio::time::sleep;

/// How often a write is retried after a conflict.
const TRIES: u32 = 8;

/// Takes or renews a lease. The server's clock is read in the update and not in the filter, where
/// an upsert could not use it. A retry after a lost reply finds its own holder, and renews.
pub(super) async fn hold(
    db: &Database,
    name: LeaseName,
    holder: Holder,
    ttl_ms: u64,
) -> Result<Hold, DbError> {
    let me = doc! { "$literal": id(holder.0) };
    // Numbers compare alike on every server that speaks the protocol; dates do not.
    let now = doc! { "$toLong": "$$NOW" };
    // A document that no process wrote is as good as none: it must not keep everybody from the lease.
    let is_held = doc! { "$and": [
        { "$eq": [{ "$type": "$holder" }, "binData"] },
        is_number("$token"),
        is_number("$until"),
        { "$gt": ["$until", now.clone()] },
    ] };
    let lapsed = doc! { "$not": [is_held] };
    let mine = doc! { "$and": [{ "$eq": ["$holder", me.clone()] }, is_number("$token")] };
    let taken = doc! { "$add": [{ "$cond": [is_number("$token"), "$token", 0_i64] }, 1_i64] };
    let pipeline = vec![
        doc! { "$set": { "mine": mine, "lapsed": lapsed } },
        doc! { "$set": {
            "token": { "$cond": ["$mine", "$token", { "$cond": ["$lapsed", taken, "$token"] }] },
            "holder": { "$cond": [{ "$or": ["$mine", "$lapsed"] }, me, "$holder"] },
            "until": { "$cond": [{ "$or": ["$mine", "$lapsed"] }, { "$add": [now.clone(), bound(ttl_ms)] }, "$until"] },
            "seen": now,
        } },
    ];
    let mut tries = 0;
    let document = loop {
        let leases = db.collection::<Document>(LEASES);
        let held = leases.find_one_and_update(doc! { "_id": name.to_string() }, pipeline.clone());
        match held.upsert(true).return_document(ReturnDocument::After).await {
            Ok(Some(document)) => break document,
            Ok(None) => {}
            // Two processes created it at the same time, or an advance was in progress.
            Err(error) if is_duplicate(&error) || DbError::is_write_conflict(&error) => {
                if tries == TRIES {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        sleep(Duration::from_millis(2 << tries.min(6))).await;
        tries += 1;
    };
    let cells = Cells::new(LEASES, document);
    let by = Holder(cells.id("holder")?);
    if by == holder {
        return Ok(Hold::Ours { token: cells.u64("token")? });
    }
    Ok(Hold::Theirs { holder: by, left_ms: cells.u64("until")?.saturating_sub(cells.u64("seen")?) })
}

fn is_number(field: &str) -> Document {
    doc! { "$in": [{ "$type": field }, ["long", "int", "double"]] }
}

/// Frees a lease if `holder` holds it.
pub(super) async fn release(
    db: &Database,
    name: LeaseName,
    holder: Holder,
) -> Result<bool, DbError> {
    let mine = doc! { "_id": name.to_string(), "holder": id(holder.0) };
    let free = doc! { "$set": { "holder": null, "until": 0_i64 } };
    Ok(db.collection::<Document>(LEASES).find_one_and_update(mine, free).await?.is_some())
}

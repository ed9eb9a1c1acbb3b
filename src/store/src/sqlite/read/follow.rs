//! Checkpoints and quarantined rows of views that are written after their events, and the owners
//! that a repair visits.

use crate::skipped::Skipped;
use crate::sqlite::query::{self, DbError};
use claviger_domain::id::UserId;
use claviger_projections::ports::{Checkpoint, PoisonReason, Quarantined};
use rusqlite::Connection;

/// How far a view has followed the log.
pub(in crate::sqlite) fn checkpoint(
    connection: &Connection,
    view: &'static str,
) -> Result<Checkpoint, DbError> {
    let sql = "SELECT view, position, repairs FROM checkpoints WHERE view = ?1";
    let found = query::row(connection, "checkpoints", sql, [view], |cells| {
        cells.text()?;
        Ok(Checkpoint { position: cells.u64()?, repairs: cells.u64()? })
    })?;
    Ok(found.unwrap_or_default())
}

/// Quarantined rows of a view.
pub(in crate::sqlite) fn quarantined(
    connection: &Connection,
    view: &'static str,
    limit: usize,
    skipped: &Skipped,
) -> Result<Vec<Quarantined>, DbError> {
    let sql =
        "SELECT id, owner, position, reason FROM quarantine WHERE view = ?1 ORDER BY owner, id";
    let held = (sql, [view]);
    query::rows_but_corrupt(connection, "quarantine", held, (limit, skipped), |cells| {
        let (id, owner, position) = (cells.id()?, UserId(cells.id()?), cells.u64()?);
        let reason = PoisonReason::parse(cells.text()?).ok_or_else(|| cells.corrupt())?;
        Ok(Quarantined { owner, id, position, reason })
    })
}

/// How many rows of a view are quarantined.
pub(in crate::sqlite) fn count_quarantined(
    connection: &Connection,
    view: &'static str,
) -> Result<u64, DbError> {
    query::count(
        connection,
        "quarantine",
        "SELECT count(*) FROM quarantine WHERE view = ?1",
        [view],
    )
}

/// Owners that have a user key.
pub(in crate::sqlite) fn owners_with_keys(
    connection: &Connection,
    after: Option<UserId>,
    limit: usize,
    skipped: &Skipped,
) -> Result<Vec<UserId>, DbError> {
    // An empty blob sorts before every id.
    let after = after.map_or_else(Vec::new, |owner| owner.0.as_bytes().to_vec());
    let sql = "SELECT DISTINCT owner FROM user_keys WHERE owner > ?1 ORDER BY owner";
    query::rows_but_corrupt(connection, "user_keys", (sql, [after]), (limit, skipped), |cells| {
        cells.id().map(UserId)
    })
}

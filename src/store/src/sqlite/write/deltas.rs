//! Rows of a run's streamed text.

use super::outcome::{Stop, stored};
use crate::sqlite::read::timer_kind;
use claviger_domain::id::{RunId, UserId};
use claviger_projections::ports::{DeltaPlace, DeltaRow, TimerKind};
use rusqlite::{Connection, OptionalExtension, params};

/// Inserts the missing rows; returns the places that hold other rows.
pub(super) fn insert(connection: &Connection, rows: &[DeltaRow]) -> Result<Vec<DeltaPlace>, Stop> {
    let mut taken = Vec::new();
    for row in rows {
        let (run, v, d) = (row.place.run.0.as_bytes(), stored(row.place.v)?, stored(row.place.d)?);
        let sql = "INSERT INTO deltas (run, v, d, owner, sealed, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
        let values = params![run, v, d, row.owner.0.as_bytes(), row.sealed, stored(row.at.0)?];
        if connection.prepare_cached(sql)?.execute(values)? == 0 {
            let sql = "SELECT 1 FROM deltas WHERE run = ?1 AND v = ?2 AND d = ?3 AND owner = ?4 AND sealed = ?5";
            let same = params![run, v, d, row.owner.0.as_bytes(), row.sealed];
            if connection.prepare_cached(sql)?.query_row(same, |_| Ok(())).optional()?.is_none() {
                taken.push(row.place);
            }
        }
    }
    Ok(taken)
}

/// Rows that one commit deletes at most: everybody's commits wait for it.
pub(in crate::sqlite) const SLICE: u64 = 256;

/// Deletes a slice of a run's rows, and with the last one their expiry timer; returns the number of
/// rows. A crash in between leaves the timer, and the rest is deleted when it is due again.
///
/// `+owner` is compared with each row and uses no index: by the owner's, SQLite would read every row
/// of text that the owner has.
pub(super) fn expire(connection: &Connection, owner: UserId, run: RunId) -> Result<usize, Stop> {
    let sql = "DELETE FROM deltas WHERE rowid IN \
               (SELECT rowid FROM deltas WHERE run = ?1 AND +owner = ?2 LIMIT ?3)";
    let rows = params![run.0.as_bytes(), owner.0.as_bytes(), stored(SLICE)?];
    let deleted = connection.prepare_cached(sql)?.execute(rows)?;
    if u64::try_from(deleted).is_ok_and(|deleted| deleted < SLICE) {
        let sql = "DELETE FROM timers WHERE owner = ?1 AND kind = ?2 AND subject = ?3";
        let kind = timer_kind(TimerKind::DeltaExpiry);
        let timer = params![owner.0.as_bytes(), kind, run.0.as_bytes()];
        connection.prepare_cached(sql)?.execute(timer)?;
    }
    Ok(deleted)
}

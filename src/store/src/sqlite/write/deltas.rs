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

/// Deletes a run's rows and their expiry timer; returns the number of rows.
pub(super) fn expire(connection: &Connection, owner: UserId, run: RunId) -> Result<usize, Stop> {
    let sql = "DELETE FROM timers WHERE owner = ?1 AND kind = ?2 AND subject = ?3";
    let timer = params![owner.0.as_bytes(), timer_kind(TimerKind::DeltaExpiry), run.0.as_bytes()];
    connection.prepare_cached(sql)?.execute(timer)?;
    let sql = "DELETE FROM deltas WHERE run = ?1 AND owner = ?2";
    Ok(connection.prepare_cached(sql)?.execute(params![run.0.as_bytes(), owner.0.as_bytes()])?)
}

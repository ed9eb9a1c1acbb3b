//! Rows of a run's streamed text.

use crate::sqlite::cells::{Cells, bound, limit as sql_limit};
use crate::sqlite::query::{self, DbError};
use claviger_domain::id::{RunId, UserId};
use claviger_projections::ports::{DeltaPlace, DeltaRow, StoreError};
use rusqlite::{Connection, params};

/// Rows of a run after a place, in order.
pub(in crate::sqlite) fn deltas(
    connection: &Connection,
    run: RunId,
    (v, d): (u64, u64),
    limit: usize,
) -> Result<Vec<DeltaRow>, DbError> {
    let sql = "SELECT run, v, d, owner, sealed, at FROM deltas WHERE run = ?1 AND (v, d) > (?2, ?3) ORDER BY v, d LIMIT ?4";
    let behind = params![run.0.as_bytes(), bound(v), bound(d), sql_limit(limit)];
    query::rows(connection, "deltas", sql, behind, delta_row)
}

/// Columns: run, v, d, owner, sealed row, time.
pub(super) fn delta_row(cells: &mut Cells<'_, '_>) -> Result<DeltaRow, StoreError> {
    Ok(DeltaRow {
        place: DeltaPlace { run: RunId(cells.id()?), v: cells.u64()?, d: cells.u64()? },
        owner: UserId(cells.id()?),
        sealed: cells.bytes()?.to_vec(),
        at: cells.time()?,
    })
}

/// The number of consecutive rows after an event, up to the first that is missing.
pub(in crate::sqlite) fn count_deltas(
    connection: &Connection,
    run: RunId,
    v: u64,
) -> Result<u64, DbError> {
    let sql = "SELECT d FROM deltas WHERE run = ?1 AND v = ?2 ORDER BY d";
    let after = params![run.0.as_bytes(), bound(v)];
    let found = query::rows(connection, "deltas", sql, after, |cells| {
        let d = cells.u64()?;
        Ok(d)
    })?;
    Ok((1..).zip(found).take_while(|(expected, d)| expected == d).count() as u64)
}

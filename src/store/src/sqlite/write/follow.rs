//! Advances and repairs of views.

use super::changes;
use super::job::Worked;
use super::outcome::{Stop, stored};
use crate::sqlite::leases::Leases;
use crate::sqlite::query;
use crate::sqlite::read::checkpoint;
use claviger_domain::id::UserId;
use claviger_projections::ports::{
    Advance, AdvanceError, Basis, Checkpoint, Quarantined, Replace, ReplaceError, RowChange,
    ViewChanges,
};
use rusqlite::{Connection, params};

/// Approximate number of bytes that an advance writes.
pub(in crate::sqlite) fn weight(changes: &ViewChanges) -> usize {
    let rows = changes
        .put
        .iter()
        .map(|row| 256 + row.facts.len() + row.content.as_ref().map_or(0, Vec::len));
    512 + rows.sum::<usize>()
        + 256 * (changes.wiped.len() + changes.deleted.len() + changes.quarantined.len())
}

/// Advances a view by one step.
pub(in crate::sqlite) fn advance(
    connection: &Connection,
    leases: &Leases,
    advance: &Advance,
) -> Result<Worked<Result<(), AdvanceError>>, Stop> {
    if !leases.is_newest(advance.fence) {
        return Ok(Worked::nothing(Err(AdvanceError::Fenced)));
    }
    let at = checkpoint(connection, advance.view)?;
    if at != advance.from {
        return Ok(Worked::nothing(Err(AdvanceError::Moved { at })));
    }
    let Advance { view, changes, .. } = advance;
    for owner in &changes.wiped {
        wipe(connection, view, *owner)?;
    }
    for (owner, id) in &changes.deleted {
        changes::apply(connection, &RowChange::DeleteView { view, owner: *owner, id: *id })?;
    }
    for row in &changes.put {
        changes::put_view(connection, row)?;
    }
    quarantine(connection, view, &changes.quarantined)?;
    put_checkpoint(connection, view, Checkpoint { position: advance.to, repairs: at.repairs })?;
    Ok(Worked { answer: Ok(()), wrote: true })
}

/// Replaces an owner's rows of a view.
pub(in crate::sqlite) fn replace(
    connection: &Connection,
    replace: &Replace,
) -> Result<Worked<Result<(), ReplaceError>>, Stop> {
    let Replace { view, owner, .. } = replace;
    let sql = "SELECT coalesce(max(position), 0) FROM events WHERE owner = ?1";
    match replace.basis {
        Basis::Inline { last } => {
            if query::count(connection, "events", sql, [owner.0.as_bytes()])? != last {
                return Ok(Worked::nothing(Err(ReplaceError::Moved)));
            }
        }
        Basis::Followed { position } => {
            let at = checkpoint(connection, view)?;
            let sql =
                "SELECT count(*) FROM events WHERE owner = ?1 AND position > ?2 AND position <= ?3";
            let params = params![owner.0.as_bytes(), stored(position)?, stored(at.position)?];
            if at.position < position || query::count(connection, "events", sql, params)? > 0 {
                return Ok(Worked::nothing(Err(ReplaceError::Moved)));
            }
            put_checkpoint(connection, view, Checkpoint { repairs: at.repairs + 1, ..at })?;
        }
    }
    wipe(connection, view, *owner)?;
    for row in &replace.rows {
        changes::put_view(connection, row)?;
    }
    if let Some(defaults) = &replace.defaults {
        connection
            .prepare_cached("DELETE FROM defaults WHERE owner = ?1")?
            .execute([owner.0.as_bytes()])?;
        for (tag, key) in defaults {
            changes::apply(
                connection,
                &RowChange::PutDefault { owner: *owner, tag: *tag, key: *key },
            )?;
        }
    }
    quarantine(connection, view, &replace.quarantined)?;
    Ok(Worked { answer: Ok(()), wrote: true })
}

fn wipe(connection: &Connection, view: &str, owner: UserId) -> Result<(), Stop> {
    for sql in [
        "DELETE FROM views WHERE owner = ?1 AND view = ?2",
        "DELETE FROM quarantine WHERE owner = ?1 AND view = ?2",
    ] {
        connection.prepare_cached(sql)?.execute(params![owner.0.as_bytes(), view])?;
    }
    Ok(())
}

fn quarantine(connection: &Connection, view: &str, rows: &[Quarantined]) -> Result<(), Stop> {
    let sql = "INSERT OR REPLACE INTO quarantine (view, owner, id, position, reason) VALUES (?1, ?2, ?3, ?4, ?5)";
    for row in rows {
        let (owner, id) = (row.owner.0.as_bytes(), row.id.as_bytes());
        let params = params![view, owner, id, stored(row.position)?, row.reason.as_str()];
        connection.prepare_cached(sql)?.execute(params)?;
    }
    Ok(())
}

fn put_checkpoint(connection: &Connection, view: &str, at: Checkpoint) -> Result<(), Stop> {
    let sql = "INSERT OR REPLACE INTO checkpoints (view, position, repairs) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute(params![
        view,
        stored(at.position)?,
        stored(at.repairs)?
    ])?;
    Ok(())
}

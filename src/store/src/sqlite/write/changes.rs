//! Row changes, one statement each.

use super::outcome::{Stop, stored};
use super::rotation;
use crate::sqlite::read::timer_kind;
use claviger_domain::id::UserId;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    ContentKeyRow, RowChange, SecretRow, SessionRow, TimerRow, UserKeyRow, ViewRow,
};
use rusqlite::{Connection, Params, params};
use uuid::Uuid;

/// Applies one change of an append.
pub(super) fn apply(connection: &Connection, change: &RowChange) -> Result<(), Stop> {
    if let Some((owner, version)) = change.sealed_under() {
        rotation::check_user_key(connection, owner, version)?;
    }
    rotation::wear(connection, change)?;
    match change {
        RowChange::PutUserKey(row) => {
            rotation::check_master_key(connection, row.kek)?;
            put_user_key(connection, row)
        }
        RowChange::PutIndexKey(row) => {
            let sql = "INSERT OR REPLACE INTO index_keys (owner, user_key_version, wrapped) VALUES (?1, ?2, ?3)";
            run(connection, sql, params![row.owner.0.as_bytes(), row.user_key_version, row.wrapped])
        }
        RowChange::PutContentKey(row) => put_content_key(connection, row),
        RowChange::PutSecret(row) => put_secret(connection, row),
        RowChange::DeleteSecret { owner, key, secret_version } => {
            let sql = "DELETE FROM secrets WHERE owner = ?1 AND key = ?2 AND secret_version = ?3";
            run(connection, sql, params![owner.0.as_bytes(), key.0.as_bytes(), secret_version])
        }
        RowChange::PutCredential(row) => {
            let sql = "INSERT OR REPLACE INTO credentials (owner, password_version, user_key_version, sealed) VALUES (?1, ?2, ?3, ?4)";
            run(
                connection,
                sql,
                params![
                    row.owner.0.as_bytes(),
                    row.password_version,
                    row.user_key_version,
                    row.sealed
                ],
            )
        }
        RowChange::PutSession(row) => put_session(connection, row),
        RowChange::DeleteSession(id) => {
            run(connection, "DELETE FROM sessions WHERE id = ?1", [id.0.as_bytes()])
        }
        RowChange::PutTimer(row) => put_timer(connection, row),
        RowChange::DeleteTimer { kind, owner, subject } => {
            let sql = "DELETE FROM timers WHERE owner = ?1 AND kind = ?2 AND subject = ?3";
            run(connection, sql, params![owner.0.as_bytes(), timer_kind(*kind), subject.as_bytes()])
        }
        RowChange::PutView(row) => put_view(connection, row),
        RowChange::DeleteView { view, owner, id } => {
            let sql = "DELETE FROM views WHERE owner = ?1 AND view = ?2 AND id = ?3";
            run(connection, sql, params![owner.0.as_bytes(), view, id.as_bytes()])
        }
        RowChange::PutDefault { owner, tag, key } => {
            let sql = "INSERT OR REPLACE INTO defaults (owner, tag, key) VALUES (?1, ?2, ?3)";
            run(connection, sql, params![owner.0.as_bytes(), tag.0, key.0.as_bytes()])
        }
        RowChange::DeleteDefault { owner, tag } => run(
            connection,
            "DELETE FROM defaults WHERE owner = ?1 AND tag = ?2",
            params![owner.0.as_bytes(), tag.0],
        ),
        RowChange::PutStoreKey(row) => rotation::put_store_key(connection, row),
        RowChange::DeleteStoreKey(kek) => {
            run(connection, "DELETE FROM store_keys WHERE kek = ?1", [kek])
        }
        RowChange::EraseUser(owner) => erase(connection, *owner),
    }
}

/// Puts a user key without checking its KEK.
pub(super) fn put_user_key(connection: &Connection, row: &UserKeyRow) -> Result<(), Stop> {
    let sql =
        "INSERT OR REPLACE INTO user_keys (owner, version, kek, wrapped) VALUES (?1, ?2, ?3, ?4)";
    run(connection, sql, params![row.owner.0.as_bytes(), row.version, row.kek, row.wrapped])
}

fn run(connection: &Connection, sql: &str, params: impl Params) -> Result<(), Stop> {
    connection.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

fn put_content_key(connection: &Connection, row: &ContentKeyRow) -> Result<(), Stop> {
    let sql = "INSERT OR REPLACE INTO content_keys (stream, owner, user_key_version, wrapped) VALUES (?1, ?2, ?3, ?4)";
    run(
        connection,
        sql,
        params![row.stream.to_string(), row.owner.0.as_bytes(), row.user_key_version, row.wrapped],
    )
}

fn put_secret(connection: &Connection, row: &SecretRow) -> Result<(), Stop> {
    let sql = "INSERT OR REPLACE INTO secrets (owner, key, secret_version, user_key_version, wrapped_data_key, sealed) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (owner, key) = (row.owner.0.as_bytes(), row.key.0.as_bytes());
    run(
        connection,
        sql,
        params![
            owner,
            key,
            row.secret_version,
            row.user_key_version,
            row.wrapped_data_key,
            row.sealed
        ],
    )
}

fn put_session(connection: &Connection, row: &SessionRow) -> Result<(), Stop> {
    let sql = "INSERT OR REPLACE INTO sessions \
               (id, owner, created_at, last_seen_at, expires_at, generation, rotated_at, content, mac) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let params = params![
        row.id.0.as_bytes(),
        row.owner.0.as_bytes(),
        stored(row.created_at.0)?,
        stored(row.last_seen_at.0)?,
        stored(row.expires_at.0)?,
        row.generation,
        stored(row.rotated_at.0)?,
        row.content,
        row.mac,
    ];
    run(connection, sql, params)
}

/// Puts a timer off, or deletes it, if it is due when it was read to be; returns the number of rows.
pub(super) fn move_timer(
    connection: &Connection,
    timer: &TimerRow,
    until: Option<Timestamp>,
) -> Result<usize, Stop> {
    let (owner, kind) = (timer.owner.0.as_bytes(), timer_kind(timer.kind));
    let (subject, due_at) = (timer.subject.as_bytes(), stored(timer.due_at.0)?);
    let of_timer = "owner = ?1 AND kind = ?2 AND subject = ?3 AND due_at = ?4";
    let Some(until) = until else {
        let sql = format!("DELETE FROM timers WHERE {of_timer}");
        let timer = params![owner, kind, subject, due_at];
        return Ok(connection.prepare_cached(&sql)?.execute(timer)?);
    };
    let sql = format!("UPDATE timers SET due_at = ?5 WHERE {of_timer}");
    let timer = params![owner, kind, subject, due_at, stored(until.0)?];
    Ok(connection.prepare_cached(&sql)?.execute(timer)?)
}

fn put_timer(connection: &Connection, row: &TimerRow) -> Result<(), Stop> {
    let sql = "INSERT OR REPLACE INTO timers (owner, kind, subject, command, due_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let params = params![
        row.owner.0.as_bytes(),
        timer_kind(row.kind),
        row.subject.as_bytes(),
        row.command.map(|id| id.0),
        stored(row.due_at.0)?,
    ];
    run(connection, sql, params)
}

/// Inserts or replaces a row of a view.
pub(super) fn put_view(connection: &Connection, row: &ViewRow) -> Result<(), Stop> {
    let sql = "INSERT OR REPLACE INTO views (owner, view, id, sort, stream, facts, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let params = params![
        row.owner.0.as_bytes(),
        row.view,
        Uuid::as_bytes(&row.id),
        stored(row.sort)?,
        row.stream.to_string(),
        row.facts,
        row.content,
    ];
    run(connection, sql, params)
}

/// Deletes everything that could open a user's content, and every copy of the content outside the
/// log.
fn erase(connection: &Connection, owner: UserId) -> Result<(), Stop> {
    let statements = [
        "DELETE FROM user_keys WHERE owner = ?1",
        "DELETE FROM index_keys WHERE owner = ?1",
        "DELETE FROM content_keys WHERE owner = ?1",
        "DELETE FROM secrets WHERE owner = ?1",
        "DELETE FROM credentials WHERE owner = ?1",
        "DELETE FROM sessions WHERE owner = ?1",
        "DELETE FROM timers WHERE owner = ?1",
        "DELETE FROM views WHERE owner = ?1",
        "DELETE FROM quarantine WHERE owner = ?1",
        "DELETE FROM defaults WHERE owner = ?1",
        "DELETE FROM deltas WHERE owner = ?1",
    ];
    statements.into_iter().try_for_each(|sql| run(connection, sql, [owner.0.as_bytes()]))
}

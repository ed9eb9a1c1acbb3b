//! Queries for a rotation of the master key.

use super::rows::{content_key_row, credential, index_key, secret_row};
use crate::skipped::Skipped;
use crate::sqlite::cells::Cells;
use crate::sqlite::query::{self, DbError};
use claviger_domain::id::UserId;
use claviger_projections::ports::{KekId, StoreError, UserKeyRow, UserKeyState, UserRows};
use rusqlite::{Connection, params};

pub(super) fn user_key_state(cells: &mut Cells<'_, '_>) -> Result<UserKeyState, StoreError> {
    let row = UserKeyRow {
        owner: UserId(cells.id()?),
        version: cells.u32()?,
        kek: cells.array()?,
        wrapped: cells.bytes()?.to_vec(),
    };
    Ok(UserKeyState { row, worn: cells.u64()? != 0 })
}

/// User keys by owner, without those under the KEK `not_under`.
pub(in crate::sqlite) fn user_keys(
    connection: &Connection,
    not_under: Option<KekId>,
    after: Option<UserId>,
    limit: usize,
    skipped: &Skipped,
) -> Result<Vec<UserKeyState>, DbError> {
    let sql = "SELECT owner, version, kek, wrapped, worn FROM user_keys \
               WHERE owner > ?1 AND kek IS NOT ?2 ORDER BY owner, version";
    // An empty blob sorts before every id.
    let after = after.map(|owner| owner.0.into_bytes().to_vec()).unwrap_or_default();
    let keys = (sql, params![after, not_under]);
    query::rows_but_corrupt(connection, "user_keys", keys, (limit, skipped), user_key_state)
}

/// A user's newest key, and everything that depends on it.
pub(in crate::sqlite) fn user_rows(
    connection: &Connection,
    owner: UserId,
) -> Result<Option<UserRows>, DbError> {
    let sql = "SELECT owner, version, kek, wrapped, worn FROM user_keys WHERE owner = ?1 ORDER BY version DESC LIMIT 1";
    let Some(key) = query::row(connection, "user_keys", sql, [owner.0.as_bytes()], user_key_state)?
    else {
        return Ok(None);
    };
    let sql = "SELECT stream, owner, user_key_version, wrapped FROM content_keys WHERE owner = ?1 ORDER BY stream";
    let content_keys =
        query::rows(connection, "content_keys", sql, [owner.0.as_bytes()], content_key_row)?;
    let sql = "SELECT owner, key, secret_version, user_key_version, wrapped_data_key, sealed FROM secrets \
               WHERE owner = ?1 ORDER BY key, secret_version";
    let secrets = query::rows(connection, "secrets", sql, [owner.0.as_bytes()], secret_row)?;
    let (index_key, credential) = (index_key(connection, owner)?, credential(connection, owner)?);
    Ok(Some(UserRows { key, index_key, content_keys, secrets, credential }))
}

//! The changes of a master key rotation, and the checks that appends need because of it.

use super::changes;
use super::outcome::Stop;
use crate::sqlite::query;
use crate::sqlite::read::user_rows;
use claviger_domain::id::UserId;
use claviger_projections::ports::{
    AppendError, KekId, RowChange, StoreKeyRow, UserKeyRow, UserRows,
};
use rusqlite::{Connection, params};

/// Rewraps a user key, if its row is unchanged and not worn.
pub(super) fn rewrap(
    connection: &Connection,
    from: &UserKeyRow,
    to: &UserKeyRow,
) -> Result<usize, Stop> {
    let sql = "UPDATE user_keys SET kek = ?5, wrapped = ?6 \
               WHERE owner = ?1 AND version = ?2 AND kek = ?3 AND wrapped = ?4 AND worn = 0";
    let params =
        params![from.owner.0.as_bytes(), from.version, from.kek, from.wrapped, to.kek, to.wrapped];
    if connection.prepare_cached(sql)?.execute(params)? == 1 {
        return Ok(1);
    }
    // A retry finds its own result, recognisable by its random nonce.
    let sql = "SELECT 1 FROM user_keys WHERE owner = ?1 AND version = ?2 AND wrapped = ?3";
    let params = params![from.owner.0.as_bytes(), from.version, to.wrapped];
    Ok(usize::from(connection.prepare_cached(sql)?.exists(params)?))
}

/// Gives a user a new key, if everything that depends on the old one is unchanged.
pub(super) fn rekey(
    connection: &Connection,
    from: &UserRows,
    to: &UserRows,
) -> Result<usize, Stop> {
    let owner = from.key.row.owner;
    let found = user_rows(connection, owner)?;
    if found.as_ref() != Some(from) {
        // A retry finds its own result.
        return Ok(usize::from(found.as_ref() == Some(to)));
    }
    connection
        .prepare_cached("DELETE FROM user_keys WHERE owner = ?1")?
        .execute([owner.0.as_bytes()])?;
    changes::put_user_key(connection, &to.key.row)?;
    for row in to.sealed_rows() {
        changes::apply(connection, &row)?;
    }
    // Unlike an append, this replaces rows without destroying what they protect: the new key is not
    // worn.
    connection
        .prepare_cached("UPDATE user_keys SET worn = 0 WHERE owner = ?1")?
        .execute([owner.0.as_bytes()])?;
    Ok(1)
}

/// Refuses rows sealed under a user key version other than the newest.
pub(super) fn check_user_key(
    connection: &Connection,
    owner: UserId,
    version: u32,
) -> Result<(), Stop> {
    let sql = "SELECT max(version) FROM user_keys WHERE owner = ?1";
    let newest: Option<u32> =
        connection.prepare_cached(sql)?.query_row([owner.0.as_bytes()], |row| row.get(0))?;
    let actual = newest.unwrap_or(0);
    if actual == version { Ok(()) } else { Err(AppendError::UserKeyMoved { owner, actual }.into()) }
}

/// Refuses a new user key under a KEK other than the store's newest. A store without keys of its
/// own has no newest one.
pub(super) fn check_master_key(connection: &Connection, kek: KekId) -> Result<(), Stop> {
    let sql = "SELECT kek FROM store_keys ORDER BY seq DESC LIMIT 1";
    let newest = query::row(connection, "store_keys", sql, [], |cells| {
        let kek: KekId = cells.array()?;
        Ok(kek)
    })?;
    match newest {
        Some(current) if current != kek => Err(AppendError::MasterKeyMoved { current }.into()),
        Some(_) | None => Ok(()),
    }
}

/// Marks the user's key: from now on it could open data that has been deleted.
pub(super) fn wear(connection: &Connection, change: &RowChange) -> Result<(), Stop> {
    let Some(owner) = change.shreds_of() else { return Ok(()) };
    connection
        .prepare_cached("UPDATE user_keys SET worn = 1 WHERE owner = ?1")?
        .execute([owner.0.as_bytes()])?;
    Ok(())
}

/// Puts the store's own keys under a KEK, as the newest.
pub(super) fn put_store_key(connection: &Connection, row: &StoreKeyRow) -> Result<(), Stop> {
    let sql = "INSERT OR REPLACE INTO store_keys (kek, wrapped_index_key, canary, seq) \
               VALUES (?1, ?2, ?3, (SELECT coalesce(max(seq), 0) + 1 FROM store_keys))";
    connection.prepare_cached(sql)?.execute(params![row.kek, row.wrapped_index_key, row.canary])?;
    Ok(())
}

//! Rows outside the log.

use crate::skipped::Skipped;
use crate::sqlite::cells::{Cells, bound};
use crate::sqlite::query::{self, DbError};
use claviger_domain::id::{CommandId, KeyId, SessionId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    ContentKeyRow, CredentialRow, IndexKeyRow, KekId, SecretRow, SessionRow, StoreError,
    StoreKeyRow, TimerKind, TimerRow, UserKeyRow,
};
use rusqlite::{Connection, params};

/// The store's own keys, newest first.
pub(in crate::sqlite) fn store_keys(connection: &Connection) -> Result<Vec<StoreKeyRow>, DbError> {
    let sql = "SELECT kek, wrapped_index_key, canary FROM store_keys ORDER BY seq DESC";
    query::rows(connection, "store_keys", sql, [], |cells| {
        Ok(StoreKeyRow {
            kek: cells.array()?,
            wrapped_index_key: cells.bytes()?.to_vec(),
            canary: cells.bytes()?.to_vec(),
        })
    })
}

/// How many user keys each KEK wraps.
pub(in crate::sqlite) fn user_keys_by_kek(
    connection: &Connection,
    skipped: &Skipped,
) -> Result<Vec<(KekId, u64)>, DbError> {
    let sql = "SELECT kek, count(*) FROM user_keys GROUP BY kek ORDER BY kek";
    let all = (usize::MAX, skipped);
    query::rows_but_corrupt(connection, "user_keys", (sql, []), all, |cells| {
        Ok((cells.array()?, cells.u64()?))
    })
}

/// The newest user key of a user.
pub(in crate::sqlite) fn user_key(
    connection: &Connection,
    owner: UserId,
) -> Result<Option<UserKeyRow>, DbError> {
    let sql = "SELECT owner, version, kek, wrapped FROM user_keys WHERE owner = ?1 ORDER BY version DESC LIMIT 1";
    query::row(connection, "user_keys", sql, [owner.0.as_bytes()], |cells| {
        Ok(UserKeyRow {
            owner: UserId(cells.id()?),
            version: cells.u32()?,
            kek: cells.array()?,
            wrapped: cells.bytes()?.to_vec(),
        })
    })
}

pub(in crate::sqlite) fn index_key(
    connection: &Connection,
    owner: UserId,
) -> Result<Option<IndexKeyRow>, DbError> {
    let sql = "SELECT owner, user_key_version, wrapped FROM index_keys WHERE owner = ?1";
    query::row(connection, "index_keys", sql, [owner.0.as_bytes()], |cells| {
        Ok(IndexKeyRow {
            owner: UserId(cells.id()?),
            user_key_version: cells.u32()?,
            wrapped: cells.bytes()?.to_vec(),
        })
    })
}

pub(in crate::sqlite) fn content_key(
    connection: &Connection,
    stream: StreamName,
) -> Result<Option<ContentKeyRow>, DbError> {
    let sql = "SELECT stream, owner, user_key_version, wrapped FROM content_keys WHERE stream = ?1";
    query::row(connection, "content_keys", sql, [stream.to_string()], content_key_row)
}

/// Columns: stream, owner, user key version, wrapped key.
pub(super) fn content_key_row(cells: &mut Cells<'_, '_>) -> Result<ContentKeyRow, StoreError> {
    Ok(ContentKeyRow {
        stream: cells.stream()?,
        owner: UserId(cells.id()?),
        user_key_version: cells.u32()?,
        wrapped: cells.bytes()?.to_vec(),
    })
}

pub(in crate::sqlite) fn secret(
    connection: &Connection,
    owner: UserId,
    key: KeyId,
    secret_version: u32,
) -> Result<Option<SecretRow>, DbError> {
    let sql = "SELECT owner, key, secret_version, user_key_version, wrapped_data_key, sealed FROM secrets \
               WHERE owner = ?1 AND key = ?2 AND secret_version = ?3";
    query::row(
        connection,
        "secrets",
        sql,
        params![owner.0.as_bytes(), key.0.as_bytes(), secret_version],
        secret_row,
    )
}

/// Columns: owner, key, secret version, user key version, wrapped data key, sealed secret.
pub(super) fn secret_row(cells: &mut Cells<'_, '_>) -> Result<SecretRow, StoreError> {
    Ok(SecretRow {
        owner: UserId(cells.id()?),
        key: KeyId(cells.id()?),
        secret_version: cells.u32()?,
        user_key_version: cells.u32()?,
        wrapped_data_key: cells.bytes()?.to_vec(),
        sealed: cells.bytes()?.to_vec(),
    })
}

pub(in crate::sqlite) fn count_secrets(connection: &Connection) -> Result<u64, DbError> {
    query::count(connection, "secrets", "SELECT count(*) FROM secrets", [])
}

/// A user's sealed password hash.
pub(in crate::sqlite) fn credential(
    connection: &Connection,
    owner: UserId,
) -> Result<Option<CredentialRow>, DbError> {
    let sql = "SELECT owner, password_version, user_key_version, sealed FROM credentials WHERE owner = ?1";
    query::row(connection, "credentials", sql, [owner.0.as_bytes()], |cells| {
        Ok(CredentialRow {
            owner: UserId(cells.id()?),
            password_version: cells.u32()?,
            user_key_version: cells.u32()?,
            sealed: cells.bytes()?.to_vec(),
        })
    })
}

pub(in crate::sqlite) fn session(
    connection: &Connection,
    id: SessionId,
) -> Result<Option<SessionRow>, DbError> {
    let sql = "SELECT id, owner, created_at, last_seen_at, expires_at, generation, rotated_at, content, mac FROM sessions \
               WHERE id = ?1";
    query::row(connection, "sessions", sql, [id.0.as_bytes()], session_row)
}

/// A user's sessions, newest first.
pub(in crate::sqlite) fn sessions(
    connection: &Connection,
    owner: UserId,
    skipped: &Skipped,
) -> Result<Vec<SessionRow>, DbError> {
    let sql = "SELECT id, owner, created_at, last_seen_at, expires_at, generation, rotated_at, content, mac FROM sessions \
               WHERE owner = ?1 ORDER BY created_at DESC, id DESC";
    let of = (sql, [owner.0.as_bytes()]);
    query::rows_but_corrupt(connection, "sessions", of, (usize::MAX, skipped), session_row)
}

pub(super) fn session_row(cells: &mut Cells<'_, '_>) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: SessionId(cells.id()?),
        owner: UserId(cells.id()?),
        created_at: cells.time()?,
        last_seen_at: cells.time()?,
        expires_at: cells.time()?,
        generation: cells.u32()?,
        rotated_at: cells.time()?,
        content: cells.opt_bytes()?.map(<[u8]>::to_vec),
        mac: cells.opt_array()?,
    })
}

/// The number a kind of timer is stored as.
pub(in crate::sqlite) const fn timer_kind(kind: TimerKind) -> i64 {
    match kind {
        TimerKind::KeyExpiry => 1,
        TimerKind::KeyTest => 2,
        TimerKind::DeltaExpiry => 3,
    }
}

/// Timers that are due, earliest first. Those of a kind that a newer program made are not ours.
pub(in crate::sqlite) fn due_timers(
    connection: &Connection,
    now: Timestamp,
    limit: usize,
    skipped: &Skipped,
) -> Result<Vec<TimerRow>, DbError> {
    let sql = "SELECT owner, kind, subject, command, due_at FROM timers WHERE due_at <= ?1 AND kind <= 3 \
               ORDER BY due_at, kind, owner, subject";
    let due = (sql, [bound(now.0)]);
    query::rows_but_corrupt(connection, "timers", due, (limit, skipped), timer_row)
}

/// Columns: owner, kind, subject, command, due.
pub(super) fn timer_row(cells: &mut Cells<'_, '_>) -> Result<TimerRow, StoreError> {
    let owner = UserId(cells.id()?);
    let kind = match cells.u64()? {
        1 => TimerKind::KeyExpiry,
        2 => TimerKind::KeyTest,
        3 => TimerKind::DeltaExpiry,
        _ => return Err(cells.corrupt()),
    };
    Ok(TimerRow {
        kind,
        owner,
        subject: cells.id()?,
        command: cells.opt_array()?.map(CommandId),
        due_at: cells.time()?,
    })
}

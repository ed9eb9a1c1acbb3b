//! The rows behind a listing of keys, read without the store: the baseline of `claviger bench
//! query`.

use crate::{BareRows, BenchError};
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{ACCOUNTS, BoxFuture, KEYS, StoreError};
use claviger_store::sqlite::raw::{DbError, InlineReads, Readers, count, open_reader, row, rows};
use rusqlite::Connection;
use std::path::Path;

/// Connections, as many as the store has.
const READERS: usize = 4;

/// Keys per page.
const PAGE: i64 = 51;

/// Reads beside a server that has the store open.
pub struct SqliteRows(Readers);

impl std::fmt::Debug for SqliteRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteRows").finish_non_exhaustive()
    }
}

impl SqliteRows {
    /// Opens the database in a data directory for reading.
    ///
    /// # Errors
    /// [`BenchError`] if it does not exist.
    pub fn open(dir: &Path) -> Result<Self, BenchError> {
        let connections = (0..READERS).map(|_| open_reader(dir)).collect::<Result<Vec<_>, _>>();
        let connections = connections.map_err(|error| BenchError::Open(Box::new(error)))?;
        // Its queries run on threads, like those of a connection pool.
        let near =
            InlineReads::over(Vec::new()).map_err(|error| BenchError::Open(Box::new(error)))?;
        Ok(Self(Readers::start(connections, near)?))
    }
}

impl BareRows for SqliteRows {
    fn session(&self, user: UserId, session: SessionId) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.0.ask(move |connection| is_open(connection, user, session))
    }

    fn keys(
        &self,
        user: UserId,
        session: SessionId,
    ) -> BoxFuture<'_, Result<Option<Vec<String>>, StoreError>> {
        // One query in one transaction, so that the caller waits for a thread only once.
        self.0.ask(move |connection| {
            if !is_open(connection, user, session)? {
                return Ok(None);
            }
            wrapped_keys(connection, user)?;
            let sql = "SELECT facts, content FROM views WHERE view = ?1 AND owner = ?2 ORDER BY sort DESC, id DESC LIMIT ?3";
            let rows = rows(connection, "views", sql, (KEYS, user.0.as_bytes(), PAGE), |cells| {
                let facts = String::from_utf8_lossy(cells.bytes()?).into_owned();
                cells.opt_bytes()?;
                Ok(facts)
            })?;
            let sql = "SELECT count(*) FROM views WHERE view = ?1 AND owner = ?2";
            count(connection, "views", sql, (KEYS, user.0.as_bytes()))?;
            Ok(Some(rows))
        })
    }
}

/// The rows that decide whether a session's token is valid.
fn is_open(connection: &Connection, user: UserId, session: SessionId) -> Result<bool, DbError> {
    let sql = "SELECT owner FROM sessions WHERE id = ?1";
    let owner = row(connection, "sessions", sql, [session.0.as_bytes()], |cells| {
        let owner = cells.id()?;
        Ok(owner)
    })?;
    let sql = "SELECT facts FROM views WHERE view = ?1 AND owner = ?2 AND id = ?2";
    let account = row(connection, "views", sql, (ACCOUNTS, user.0.as_bytes()), |cells| {
        Ok(cells.bytes()?.len())
    })?;
    Ok(owner == Some(user.0) && account.is_some())
}

/// The rows needed to open sealed data.
fn wrapped_keys(connection: &Connection, user: UserId) -> Result<(), DbError> {
    let owner = user.0.as_bytes();
    let sql = "SELECT wrapped FROM user_keys WHERE owner = ?1 ORDER BY version DESC LIMIT 1";
    row(connection, "user_keys", sql, [owner], |cells| Ok(cells.bytes()?.to_vec()))?;
    let sql = "SELECT wrapped FROM index_keys WHERE owner = ?1";
    row(connection, "index_keys", sql, [owner], |cells| Ok(cells.bytes()?.to_vec()))?;
    let sql = "SELECT wrapped FROM content_keys WHERE stream = ?1";
    let stream = StreamName::KeyRing(user).to_string();
    row(connection, "content_keys", sql, [stream], |cells| Ok(cells.bytes()?.to_vec()))?;
    Ok(())
}

//! Sets up connections: one that writes, several that read.

use super::config::SqliteConfig;
use super::error::OpenError;
use super::schema;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the database in the data directory.
pub const DATABASE_FILE: &str = "claviger.db";

/// Versions before this one can corrupt a write-ahead log.
const OLDEST_SQLITE: i32 = 3_051_003;
/// The byte 18 of a database whose last commits may stand in a write-ahead log. `VACUUM INTO` writes
/// another one.
const IN_USE_WITH_LOG: u8 = 2;
const STATEMENTS_CACHED: usize = 96;

/// How long a checkpoint that must finish waits for readers, with all writers waiting behind it.
pub(super) const WRITER_BUSY: Duration = Duration::from_secs(1);
const READER_BUSY: Duration = Duration::from_secs(5);

/// Creates the directory if it does not exist, closed to all other users.
pub fn make_dir(dir: &Path) -> Result<(), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| OpenError::from_io(dir, source))
}

/// Opens the only connection that writes. The file must be Claviger's; it is closed to other users
/// and brought to the current format.
pub fn open_writer(config: &SqliteConfig) -> Result<Connection, OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::OldSqlite { found: rusqlite::version() });
    }
    let path = config.dir.join(DATABASE_FILE);
    make_file(&path)?;
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(&path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(sqlite)?;
    connection.busy_timeout(WRITER_BUSY).map_err(sqlite)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // Checked first: a file of another program, or of a newer format, is left untouched.
    schema::format_of(&connection, &path)?;
    close_to_others(&path)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(sqlite)?;
    if mode != "wal" {
        return Err(OpenError::NoWal { path });
    }
    set_up_writer(&connection, config).map_err(sqlite)?;
    schema::migrate(&mut connection, &path)?;
    Ok(connection)
}

fn set_up_writer(connection: &Connection, config: &SqliteConfig) -> rusqlite::Result<()> {
    // The writer chooses when to checkpoint, and sees it fail; closing must never repeat a
    // checkpoint that failed.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // There are none. One that another program makes while this one runs does nothing.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // Savepoints and sorts stay in memory: a temporary file would be a second copy of data that
    // must be shredded.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if let Some(pages) = config.max_pages {
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(())
}

/// Opens a read-only connection.
pub fn open_reader(dir: &Path) -> Result<Connection, OpenError> {
    let path = dir.join(DATABASE_FILE);
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(&path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(sqlite)?;
    connection.busy_timeout(READER_BUSY).map_err(sqlite)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(sqlite)?;
    // Otherwise a statement with a bound LIMIT would be planned again for each execution.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(sqlite)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false).map_err(sqlite)?;
    connection.pragma_update(None, "query_only", true).map_err(sqlite)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(sqlite)?;
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(sqlite)?;
    Ok(connection)
}

/// Opens a regular file of the store's, or creates it with mode 0600. A pipe under its name is
/// refused and not waited for.
pub(super) fn open_or_make(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// Creates the database file with mode 0600, which SQLite also gives to the files beside it. A file
/// of another kind is refused.
pub(super) fn make_file(path: &Path) -> Result<(), OpenError> {
    let failed = |source: io::Error| OpenError::from_io(path, source);
    let mut file = open_or_make(path).map_err(failed)?;
    let mut start = Vec::new();
    file.by_ref().take(20).read_to_end(&mut start).map_err(failed)?;
    if !start.is_empty() && !start.starts_with(b"SQLite format 3\0") {
        return Err(OpenError::NotADatabase { path: path.to_owned() });
    }
    if start.get(18) == Some(&IN_USE_WITH_LOG) && !log_of(path).exists() {
        tracing::warn!(
            path = %path.display(),
            "the write-ahead log that belongs to this database is not beside it: if the file was copied without its -wal \
             while a server ran, the last commits are missing; a backup is made with VACUUM INTO (ops/docs/runbooks/backup.md)"
        );
    }
    Ok(())
}

/// The write-ahead log of a database. A store leaves one behind, empty, when it is closed.
fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// A database that was copied here may have a wider mode.
fn close_to_others(path: &Path) -> Result<(), OpenError> {
    let failed = |source: io::Error| OpenError::from_io(path, source);
    if fs::metadata(path).map_err(failed)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    }
    Ok(())
}

//! The tables of `claviger.db`, and how an older file becomes a newer one.
//!
//! | table | key | holds | changes |
//! |---|---|---|---|
//! | `head` | `id` = 1 | position, time and frontier of the end of the log | with every append |
//! | `events` | `position` | the log; unique (stream, version), unique id | inserts only |
//! | `parts` | `position`, `part` | sealed boxes of events that have more than one | inserts only |
//! | `claims` | `kind`, `hash` | the holder of a unique value | with appends |
//! | `commands` | `command_id` | command records | with appends; forgotten after their time |
//! | `user_keys` | `owner`, `version` | user keys, wrapped by a KEK; `worn`: could open data destroyed since | with appends; rewrapped by compare and set |
//! | `index_keys` | `owner` | users' index keys | with appends |
//! | `content_keys` | `stream` | content keys | with appends |
//! | `secrets` | `owner`, `key`, `secret_version` | sealed secrets and their data keys | with appends |
//! | `credentials` | `owner` | sealed password hashes | with appends |
//! | `sessions` | `id` | sessions, each with a MAC | with appends; rotated by compare and set |
//! | `timers` | `owner`, `kind`, `subject` | timers | with appends |
//! | `views` | `owner`, `view`, `id` | rows of views | with appends |
//! | `defaults` | `owner`, `tag` | the default key of a context: the primary key allows only one | with appends |
//! | `checkpoints` | `view` | how far a view that is written after its events has followed the log | with advances and repairs |
//! | `quarantine` | `view`, `owner`, `id` | quarantined rows of such views | with advances and repairs |
//! | `deltas` | `run`, `v`, `d` | rows of text between a run's events, sealed | inserts; deleted when they expire |
//! | `required` | `name` | what a program must be able to read to open this file, and the version that first wrote it | with appends |
//! | `used_tickets` | `id` | stream tickets that were used | inserts; deleted an hour after their time |
//! | `store_keys` | `kek` | the store's index key and canary, wrapped by each KEK; the highest `seq` is the newest | once, then with appends |
//!
//! Rows that depend on a user key (`index_keys`, `content_keys`, `secrets`, `credentials`) also
//! change when a rotation gives the user a new one, all of them in one transaction.
//!
//! Ids are 16-byte blobs, whose order is the order of the ids; times are milliseconds. `owner`,
//! `subject` and `kind` of an event are copies for filters: the leaf is computed from the envelope.
//! `signature` is the keychain's, of the leaf and the tree before it.
//! `boxes` counts an event's sealed boxes: a single one is stored in `content`, several in `parts`.
//! Leases live in the memory of the one process that has the file open.
//!
//! Tables with sealed keys and secrets have row numbers (they are not `WITHOUT ROWID`): rows are
//! only ever added at the end, so none of their pages is split in the middle, and nothing stale can
//! stay in an unused part of one.

use super::error::OpenError;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// Marks the file as Claviger's (`PRAGMA application_id`): the letters "Clvg".
pub(super) const APPLICATION_ID: i32 = 0x436c_7667;

/// Migration `n` (from 0) leads from format `n` to format `n + 1` (`PRAGMA user_version`). Never
/// edited once released.
const MIGRATIONS: &[&str] = &[FORMAT_1, FORMAT_2, FORMAT_3];

const FORMAT_1: &str = "
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL,
    at INTEGER NOT NULL,
    frontier BLOB NOT NULL
) STRICT;
INSERT INTO head VALUES (1, 0, 0, x'');

CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,
    owner BLOB,
    kind TEXT NOT NULL,
    schema INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor_user BLOB,
    actor_role TEXT,
    actor_via TEXT NOT NULL,
    command_id BLOB NOT NULL,
    correlation_id BLOB NOT NULL,
    causation_id BLOB,
    subject BLOB,
    facts BLOB NOT NULL,
    boxes INTEGER NOT NULL,
    content BLOB,
    leaf BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_stream ON events (stream, version);
CREATE UNIQUE INDEX events_by_id ON events (id);
CREATE INDEX events_by_owner ON events (owner, position) WHERE owner IS NOT NULL;
CREATE INDEX events_by_subject ON events (owner, subject, position) WHERE owner IS NOT NULL AND subject IS NOT NULL;
CREATE TABLE parts (
    position INTEGER NOT NULL,
    part INTEGER NOT NULL,
    box BLOB NOT NULL,
    PRIMARY KEY (position, part)
) STRICT;

CREATE TABLE claims (
    kind INTEGER NOT NULL,
    hash BLOB NOT NULL,
    holder BLOB NOT NULL,
    subject BLOB NOT NULL,
    PRIMARY KEY (kind, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE commands (
    command_id BLOB PRIMARY KEY NOT NULL,
    request_hash BLOB NOT NULL,
    owner BLOB NOT NULL,
    subject BLOB,
    event_ids BLOB NOT NULL,
    position INTEGER NOT NULL,
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,
    open INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX commands_by_expiry ON commands (expires_at) WHERE open = 0;

CREATE TABLE user_keys (
    owner BLOB NOT NULL,
    version INTEGER NOT NULL,
    kek BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    worn INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (owner, version)
) STRICT;
CREATE INDEX user_keys_by_kek ON user_keys (kek);
CREATE TABLE index_keys (
    owner BLOB PRIMARY KEY NOT NULL,
    user_key_version INTEGER NOT NULL,
    wrapped BLOB NOT NULL
) STRICT;
CREATE TABLE content_keys (
    stream TEXT PRIMARY KEY NOT NULL,
    owner BLOB NOT NULL,
    user_key_version INTEGER NOT NULL,
    wrapped BLOB NOT NULL
) STRICT;
CREATE INDEX content_keys_by_owner ON content_keys (owner);
CREATE TABLE secrets (
    owner BLOB NOT NULL,
    key BLOB NOT NULL,
    secret_version INTEGER NOT NULL,
    user_key_version INTEGER NOT NULL,
    wrapped_data_key BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (owner, key, secret_version)
) STRICT;
CREATE TABLE credentials (
    owner BLOB PRIMARY KEY NOT NULL,
    password_version INTEGER NOT NULL,
    user_key_version INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE sessions (
    id BLOB PRIMARY KEY NOT NULL,
    owner BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL,
    content BLOB
) STRICT;
CREATE INDEX sessions_by_owner ON sessions (owner, created_at, id);
CREATE TABLE timers (
    owner BLOB NOT NULL,
    kind INTEGER NOT NULL,
    subject BLOB NOT NULL,
    command BLOB,
    due_at INTEGER NOT NULL,
    PRIMARY KEY (owner, kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_by_due ON timers (due_at);

CREATE TABLE views (
    owner BLOB NOT NULL,
    view TEXT NOT NULL,
    id BLOB NOT NULL,
    sort INTEGER NOT NULL,
    stream TEXT NOT NULL,
    facts BLOB NOT NULL,
    content BLOB,
    PRIMARY KEY (owner, view, id)
) STRICT;
CREATE INDEX views_by_sort ON views (view, owner, sort, id);
CREATE TABLE defaults (
    owner BLOB NOT NULL,
    tag BLOB NOT NULL,
    key BLOB NOT NULL,
    PRIMARY KEY (owner, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    view TEXT PRIMARY KEY NOT NULL,
    position INTEGER NOT NULL,
    repairs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE quarantine (
    view TEXT NOT NULL,
    owner BLOB NOT NULL,
    id BLOB NOT NULL,
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (view, owner, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX quarantine_by_owner ON quarantine (owner);
CREATE TABLE deltas (
    run BLOB NOT NULL,
    v INTEGER NOT NULL,
    d INTEGER NOT NULL,
    owner BLOB NOT NULL,
    sealed BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (run, v, d)
) STRICT;
CREATE INDEX deltas_by_owner ON deltas (owner);

CREATE TABLE store_keys (
    kek BLOB PRIMARY KEY NOT NULL,
    wrapped_index_key BLOB NOT NULL,
    canary BLOB NOT NULL,
    seq INTEGER NOT NULL UNIQUE
) STRICT;
";

/// Earlier events have envelope version 1 and no credential. A program that knows only format 1
/// refuses the file, so none meets an event of version 2.
const FORMAT_2: &str = "
ALTER TABLE events ADD COLUMN envelope INTEGER NOT NULL DEFAULT 1;
ALTER TABLE events ADD COLUMN credential_kind TEXT;
ALTER TABLE events ADD COLUMN credential_id BLOB;
CREATE TABLE required (
    name TEXT PRIMARY KEY NOT NULL,
    program TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Events that an earlier program appended have no signature, and sessions that it made no MAC.
/// Stream tickets that were used are remembered.
const FORMAT_3: &str = "
ALTER TABLE events ADD COLUMN signature BLOB;
ALTER TABLE sessions ADD COLUMN mac BLOB;
CREATE TABLE used_tickets (
    id BLOB PRIMARY KEY NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_tickets_by_until ON used_tickets (until);
";

/// From this format on a file says what its readers must be able to read.
pub(super) const WITH_REQUIREMENTS: u32 = 2;

/// The newest format this program writes and reads.
pub const FORMAT: u32 = 3;
const _: () = assert!(MIGRATIONS.len() == FORMAT as usize, "every format has its migration");

/// Brings the file to [`FORMAT`], one migration per transaction: a crash in between leaves a format
/// from which the next start continues.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let found = format_of(connection, path)?;
    bring_to(connection, path, FORMAT)?;
    if found > 0 && found < FORMAT {
        tracing::warn!(
            format = FORMAT,
            "the store was brought to a newer format: programs that do not know it refuse the file \
             from now on"
        );
    }
    Ok(())
}

/// Brings a file to a format that is not older than its own.
pub(super) fn bring_to(connection: &mut Connection, path: &Path, to: u32) -> Result<(), OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let found = format_of(connection, path)?;
    for (format, sql) in (1..=to).zip(MIGRATIONS).skip(found as usize) {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        transaction.execute_batch(sql).map_err(sqlite)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite)?;
        transaction.pragma_update(None, "user_version", format).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
    }
    Ok(())
}

/// The file's format, 0 for an empty one. A file of another program, or of a newer format, is
/// refused.
pub(super) fn format_of(connection: &Connection, path: &Path) -> Result<u32, OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let number = |name: &str| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(sqlite)
    };
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sqlite)?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(0);
    }
    let not_ours = || OpenError::NotADatabase { path: path.to_owned() };
    if application != APPLICATION_ID {
        return Err(not_ours());
    }
    let found = u32::try_from(version).ok().filter(|version| *version > 0).ok_or_else(not_ours)?;
    if found > FORMAT {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT });
    }
    Ok(found)
}

//! Errors of the store, with the action to take. SQLite's own texts are never passed on: they may
//! contain values or SQL.

use claviger_domain::catalogue::Requirement;
use claviger_projections::ports::StoreError;
use rusqlite::ErrorCode;
use std::io;
use std::path::{Path, PathBuf};

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the data directory {dir} is in use by {holder}: stop that program first, or give this one another data directory",
        dir = .dir.display()
    )]
    InUse {
        dir: PathBuf,
        /// Program, process id and start time of the holder.
        holder: String,
    },
    /// No permission, or a read-only file system.
    #[error(
        "{path} cannot be written: give this program's user write access, or choose another data directory",
        path = .path.display()
    )]
    NotWritable {
        path: PathBuf,
        /// The operating system's error, where a system call failed directly.
        #[source]
        source: Option<io::Error>,
    },
    #[error("there is no space left for {path}: free some space on its disk, then start again", path = .path.display())]
    Full { path: PathBuf },
    #[error("{path} is not a database of Claviger: move it away, or choose another data directory", path = .path.display())]
    NotADatabase { path: PathBuf },
    /// A newer program wrote it.
    #[error(
        "{path} has format {found}, and this program supports formats up to {known}: start the newer program that wrote it",
        path = .path.display()
    )]
    Newer {
        path: PathBuf,
        found: u32,
        /// The newest supported format.
        known: u32,
    },
    /// A newer program appended events that this one can't read.
    #[error(
        "{path} holds events that this program can't read ({requirement}): start Claviger {program} or a newer version",
        path = .path.display()
    )]
    Requires {
        /// The file.
        path: PathBuf,
        /// What is needed: an envelope version, or a type and schema.
        requirement: Requirement,
        /// The version of the program that first appended it.
        program: String,
    },
    /// What is in it contradicts itself.
    #[error("{path} is damaged ({what}): restore a backup, and keep this file for an investigation", path = .path.display())]
    Damaged {
        path: PathBuf,
        /// The damaged part.
        what: String,
    },
    /// It has triggers, tables or the like that this program did not make, or lacks what it made.
    #[error(
        "{path} {what}, and this program did not leave it so: restore a backup, or find out who did it, undo it with the \
         `sqlite3` program, and run `claviger verify`",
        path = .path.display()
    )]
    Foreign {
        path: PathBuf,
        /// What it holds too much, and what it lacks.
        what: String,
    },
    /// A store was there, and its file is gone.
    #[error(
        "{path} is missing, and a store was there: restore it from a backup, beside the same keys; to begin a new store, \
         choose another data directory, or move everything in this one away",
        path = .path.display()
    )]
    Removed { path: PathBuf },
    /// Built against a version of SQLite with a known corruption bug.
    #[error(
        "the SQLite library has version {found}, and versions before 3.51.3 can corrupt a write-ahead log: build with a newer one"
    )]
    OldSqlite { found: &'static str },
    /// The file system does not support what the store relies on.
    #[error("{path} cannot keep a write-ahead log: choose a data directory on a local disk", path = .path.display())]
    NoWal { path: PathBuf },
    /// Any other error of the operating system.
    #[error("cannot open {path}: see the cause, then start again", path = .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Any other error of SQLite.
    #[error("cannot open {path}: SQLite returned code {code}", path = .path.display())]
    Sqlite {
        path: PathBuf,
        /// Extended result code.
        code: i32,
    },
}

impl OpenError {
    /// Classifies an operating-system error on `path`.
    pub(super) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        #[expect(clippy::wildcard_enum_match_arm, reason = "the system's list of kinds is open")]
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { path, source: Some(source) }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { path, source },
        }
    }

    /// Classifies an SQLite error on `path`.
    pub(super) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path, what: "a page is malformed".to_owned() }
            }
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::NotWritable { path, source: None }
            }
            _ => Self::Sqlite { path, code: code(error) },
        }
    }
}

/// The extended result code; 0 for an error that is not SQLite's own.
pub fn code(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().map_or(0, |error| error.extended_code)
}

/// The error of a statement, as callers may see it.
pub(super) fn store_error(error: &rusqlite::Error) -> StoreError {
    let text = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full: free some space, then try again".to_owned(),
        Some(ErrorCode::ReadOnly) => {
            "the database cannot be written: give the program's user write access".to_owned()
        }
        Some(ErrorCode::OutOfMemory) => "there is no memory left: try again later".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "the database is busy: try again".to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            return StoreError::Corrupt("a page of the database file: restore a backup".to_owned());
        }
        _ => format!(
            "SQLite returned code {}: if this persists, check the disk and restart the program",
            code(error)
        ),
    };
    StoreError::Unavailable(text)
}

/// After such an error, the state of the disk is unknown. A new process must open the file again.
pub(super) fn is_fatal(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}

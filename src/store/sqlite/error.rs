//! What can go wrong, in words that say what to do. Texts of SQLite are never passed on: they may hold values or SQL.

use claviger_domain::catalogue::Requirement;
use claviger_projections::ports::StoreError;
use rusqlite::ErrorCode;
use std::io;
use std::path::{Path, PathBuf};

/// Why the store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the data directory {dir} is in use by {holder}: stop that program first, or give this one another data directory",
        dir = .dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// Program, process id and start of whoever holds it.
        holder: String,
    },
    /// No permission, or a read-only file system.
    #[error(
        "{path} can't be written: give this program's user write access, or choose another data directory",
        path = .path.display()
    )]
    NotWritable {
        /// The directory or file.
        path: PathBuf,
        /// What the system said, where it was asked directly.
        #[source]
        source: Option<io::Error>,
    },
    /// The disk is full.
    #[error("there is no space left for {path}: free some space on its disk, then start again", path = .path.display())]
    Full {
        /// The directory or file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path} is not a database of Claviger: move it away, or choose another data directory", path = .path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error(
        "{path} has format {found}, and this program knows formats up to {known}: start the newer program that wrote it",
        path = .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known.
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
        /// The file.
        path: PathBuf,
        /// Which part.
        what: String,
    },
    /// Built against a library with a known corruption.
    #[error(
        "the SQLite library has version {found}, and versions before 3.51.3 can corrupt a write-ahead log: build with a newer one"
    )]
    OldSqlite {
        /// Its version.
        found: &'static str,
    },
    /// The file system can't do what the store relies on.
    #[error("{path} can't keep a write-ahead log: choose a data directory on a local disk", path = .path.display())]
    NoWal {
        /// The file.
        path: PathBuf,
    },
    /// Anything else the system answered.
    #[error("can't open {path}: see the cause, then start again", path = .path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Anything else SQLite answered.
    #[error("can't open {path}: SQLite answered code {code}", path = .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Extended result code.
        code: i32,
    },
}

impl OpenError {
    /// Reads what the system said about `path`.
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

    /// Reads what SQLite said about `path`.
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

/// The extended result code, 0 for an error that isn't SQLite's own.
pub(super) fn code(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().map_or(0, |error| error.extended_code)
}

/// What a caller may know of an error in a statement.
pub(super) fn store_error(error: &rusqlite::Error) -> StoreError {
    let text = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full: free some space, then try again".to_owned(),
        Some(ErrorCode::ReadOnly) => {
            "the database can't be written: give the program's user write access".to_owned()
        }
        Some(ErrorCode::OutOfMemory) => "there is no memory left: try again later".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "the database is busy: try again".to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            return StoreError::Corrupt("a page of the database file: restore a backup".to_owned());
        }
        _ => format!(
            "SQLite answered code {}: if it stays, look at the disk and restart the program",
            code(error)
        ),
    };
    StoreError::Unavailable(text)
}

/// After such an error nobody can say what is on disk. The file must be opened anew, by a new process.
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

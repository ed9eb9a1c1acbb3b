//! Errors of the store, with the action to take. Texts of the driver and the server are never
//! passed on: they contain key values, host names, sometimes passwords.

use super::boot::Unfit;
use super::seeds::Unresolved;
use claviger_domain::catalogue::Requirement;
use claviger_projections::ports::StoreError;
use mongodb::error::{
    Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

/// The server's code for a duplicate key.
const DUPLICATE_KEY: i32 = 11_000;
/// The server's code for a write conflict between transactions.
const WRITE_CONFLICT: i32 = 112;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the MongoDB address is invalid: write mongodb://[user:password@]host[:port][,host…]/[database][?options], or \
         mongodb+srv://[user:password@]name[/database][?options]"
    )]
    Address,
    /// The hosts behind a name can't be found.
    #[error("the hosts of the MongoDB address cannot be found: {0}")]
    Hosts(#[from] Unresolved),
    /// No server replies, or none accepts the connection.
    #[error(
        "MongoDB cannot be reached (code {code}): check that the server runs, that its address is right and that it accepts the credentials"
    )]
    Unreachable {
        /// The server's code; 0 if it never replied.
        code: i32,
    },
    /// The deployment cannot give the store's guarantees.
    #[error("this MongoDB cannot give the guarantees that Claviger needs: {0}")]
    Unfit(#[from] Unfit),
    /// A newer program wrote it.
    #[error(
        "the database {database} has format {found}, and this program supports formats up to {known}: start the newer program that wrote it"
    )]
    Newer {
        database: String,
        found: u64,
        /// The newest supported format.
        known: u64,
    },
    /// A newer program appended events that this one can't read.
    #[error(
        "the database {database} holds events that this program can't read ({requirement}): start Claviger {program} or a newer version"
    )]
    Requires {
        /// The database.
        database: String,
        /// What is needed: an envelope version, or a type and schema.
        requirement: Requirement,
        /// The version of the program that first appended it.
        program: String,
    },
    /// An index is there in another shape.
    #[error(
        "an index of {collection} cannot be created (code {code}): drop the one that is in its way, then start again"
    )]
    Index { collection: &'static str, code: i32 },
    /// Its contents contradict each other.
    #[error(
        "the database {database} is damaged ({what}): restore a backup, and keep this database for an investigation"
    )]
    Damaged {
        database: String,
        /// The damaged part.
        what: String,
    },
    /// A collection of it is more than a plain one.
    #[error(
        "in the database {database} {what}, and this program did not make it so: find out who did, undo it, and run \
         `claviger verify`, or restore a backup"
    )]
    Foreign {
        database: String,
        /// What is not as it was made.
        what: String,
    },
    /// Any other error of the server.
    #[error(
        "the database {database} cannot be opened: MongoDB returned code {code}; see its log, then start again"
    )]
    Server {
        database: String,
        /// The server's code; 0 if the driver failed.
        code: i32,
    },
}

/// Why a statement failed.
#[derive(Debug)]
pub enum DbError {
    /// The server or the driver failed.
    Mongo(Error),
    /// An error of the store's own, for example a corrupt document.
    Store(StoreError),
    /// No reply within the limit.
    Silent,
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        Self::Mongo(error)
    }
}

impl From<StoreError> for DbError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Mongo(error) => store_error(&error),
            DbError::Store(error) => error,
            DbError::Silent => unreachable_server(),
        }
    }
}

impl DbError {
    /// Whether the whole transaction may be retried.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Mongo(error) => error.contains_label(TRANSIENT_TRANSACTION_ERROR),
            Self::Store(_) => false,
            Self::Silent => true,
        }
    }

    /// Whether another transaction was in the way.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Mongo(error) if Self::is_write_conflict(error))
    }

    /// Whether another transaction was in the way of a write outside a transaction.
    pub fn is_write_conflict(error: &Error) -> bool {
        code(error) == WRITE_CONFLICT
    }
}

/// The server's code; 0 for an error that is not the server's.
pub fn code(error: &Error) -> i32 {
    if let ErrorKind::Command(error) = error.kind.as_ref() {
        return error.code;
    }
    if let ErrorKind::Write(failure) = error.kind.as_ref() {
        if let WriteFailure::WriteError(error) = failure {
            return error.code;
        }
        if let WriteFailure::WriteConcernError(error) = failure {
            return error.code;
        }
    }
    if let ErrorKind::InsertMany(many) = error.kind.as_ref() {
        return many.write_errors.iter().flatten().next().map_or(0, |error| error.code);
    }
    0
}

/// Whether a key existed already.
pub(super) fn is_duplicate(error: &Error) -> bool {
    code(error) == DUPLICATE_KEY
}

/// Whether the outcome of a commit is unknown.
pub(super) fn is_unknown_commit(error: &Error) -> bool {
    error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
}

/// An error, as callers may see it.
pub(super) fn store_error(error: &Error) -> StoreError {
    match code(error) {
        0 => unreachable_server(),
        code => StoreError::Unavailable(format!(
            "MongoDB returned code {code}: if this persists, see its log"
        )),
    }
}

fn unreachable_server() -> StoreError {
    StoreError::Unavailable(
        "MongoDB cannot be reached: check that it runs, then try again".to_owned(),
    )
}

/// An error on the way to opening the store.
pub(super) fn open_error(database: &str, error: DbError) -> OpenError {
    let database = database.to_owned();
    match error {
        DbError::Mongo(error) if code(&error) == 0 => OpenError::Unreachable { code: 0 },
        DbError::Mongo(error) => OpenError::Server { database, code: code(&error) },
        DbError::Store(error) => OpenError::Damaged { database, what: error.to_string() },
        DbError::Silent => OpenError::Unreachable { code: 0 },
    }
}

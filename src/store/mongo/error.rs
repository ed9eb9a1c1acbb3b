//! What can go wrong, in words that say what to do. Texts of the driver and the server are never passed on: they hold key values,
//! host names, sometimes passwords.

use super::boot::Unfit;
use claviger_domain::catalogue::Requirement;
use claviger_projections::ports::StoreError;
use mongodb::error::{
    Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

/// The server's code for a key that is there already.
const DUPLICATE_KEY: i32 = 11_000;
/// The server's code for a transaction that met another's write.
const WRITE_CONFLICT: i32 = 112;

/// Why the store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address can't be read.
    #[error(
        "the MongoDB address can't be used: write mongodb://[user:password@]host[:port][,host…]/[database][?options], naming the \
         hosts themselves (mongodb+srv is not supported)"
    )]
    Address,
    /// Nobody answers.
    #[error(
        "MongoDB can't be reached (code {code}): see that the server runs, that its address is right and that it lets us in"
    )]
    Unreachable {
        /// The server's code, 0 if it never answered.
        code: i32,
    },
    /// It answers and can't keep the promises.
    #[error("this MongoDB can't keep what Claviger promises: {0}")]
    Unfit(#[from] Unfit),
    /// A newer program wrote it.
    #[error(
        "the database {database} has format {found}, and this program knows formats up to {known}: start the newer program that wrote it"
    )]
    Newer {
        /// The database.
        database: String,
        /// The format found.
        found: u64,
        /// The newest format known.
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
        "an index of {collection} can't be made (code {code}): drop the one that stands in its way, then start again"
    )]
    Index {
        /// The collection.
        collection: &'static str,
        /// The server's code.
        code: i32,
    },
    /// What is in it contradicts itself.
    #[error(
        "the database {database} is damaged ({what}): restore a backup, and keep this database for an investigation"
    )]
    Damaged {
        /// The database.
        database: String,
        /// Which part.
        what: String,
    },
    /// Anything else the server answered.
    #[error(
        "the database {database} can't be opened: MongoDB answered code {code}; see its log, then start again"
    )]
    Server {
        /// The database.
        database: String,
        /// The server's code, 0 if the driver failed.
        code: i32,
    },
}

/// Why a statement wasn't done.
#[derive(Debug)]
pub(super) enum DbError {
    /// The server or the driver failed.
    Mongo(Error),
    /// What came back makes no sense.
    Store(StoreError),
    /// Nothing came back for so long that nobody waits any more.
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
    /// The whole transaction may be tried again.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Mongo(error) => error.contains_label(TRANSIENT_TRANSACTION_ERROR),
            Self::Store(_) => false,
            Self::Silent => true,
        }
    }

    /// Another transaction was in the way.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Mongo(error) if Self::is_write_conflict(error))
    }

    /// Another transaction was in the way of a write outside one.
    pub(super) fn is_write_conflict(error: &Error) -> bool {
        code(error) == WRITE_CONFLICT
    }
}

/// The server's code, 0 for an error that isn't the server's.
pub(super) fn code(error: &Error) -> i32 {
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

/// A key was there already.
pub(super) fn is_duplicate(error: &Error) -> bool {
    code(error) == DUPLICATE_KEY
}

/// Nobody knows whether a commit went through.
pub(super) fn is_unknown_commit(error: &Error) -> bool {
    error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
}

/// What a caller may know of an error.
pub(super) fn store_error(error: &Error) -> StoreError {
    match code(error) {
        0 => unreachable_server(),
        code => StoreError::Unavailable(format!(
            "MongoDB answered code {code}: if it stays, look at its log"
        )),
    }
}

fn unreachable_server() -> StoreError {
    StoreError::Unavailable("MongoDB can't be reached: see that it runs, then try again".to_owned())
}

/// What whoever opens the store is told of an error on the way.
pub(super) fn open_error(database: &str, error: DbError) -> OpenError {
    let database = database.to_owned();
    match error {
        DbError::Mongo(error) if code(&error) == 0 => OpenError::Unreachable { code: 0 },
        DbError::Mongo(error) => OpenError::Server { database, code: code(&error) },
        DbError::Store(error) => OpenError::Damaged { database, what: error.to_string() },
        DbError::Silent => OpenError::Unreachable { code: 0 },
    }
}

//! The collections, their indexes, and their format.
//!
//! | collection | `_id` | holds | changes |
//! |---|---|---|---|
//! | `log_head` | `"head"` | position, time and frontier of the end of the log; `touch` | first and last in every transaction |
//! | `events` | stream `/` version in 20 digits | the log; unique position, unique id | inserts only |
//! | `parts` | `{p, n}`: position, index | sealed boxes of events that have more than one | inserts only |
//! | `claims` | `{k, h}`: kind, keyed hash | the holder of a unique value | with appends |
//! | `commands` | command id | command records | with appends; forgotten after their time |
//! | `user_keys` | `{o, v}`: owner, version | user keys, wrapped by a KEK; `worn`: could open data destroyed since; `touch` | with appends; rewrapped by compare and set |
//! | `index_keys` | owner | users' index keys | with appends |
//! | `content_keys` | stream | content keys | with appends |
//! | `secrets` | `{o, k, v}`: owner, key, secret version | sealed secrets and their data keys | with appends |
//! | `credentials` | owner | sealed password hashes | with appends |
//! | `sessions` | session id | sessions, each with a MAC | with appends; rotated by compare and set |
//! | `timers` | `{o, k, s}`: owner, kind, subject | timers | with appends |
//! | `views` | owner, row id, view, as concatenated bytes | rows of views | with appends |
//! | `defaults` | `{o, t}`: owner, tag | the default key of a context: `_id` allows only one | with appends |
//! | `leases` | name | the process that may do what only one may do; `until` and `seen` are the server's time | by their holders; touched by advances |
//! | `checkpoints` | view | how far a view that is written after its events has followed the log | with advances and repairs |
//! | `quarantine` | `{w, o, i}`: view, owner, row id | quarantined rows of such views | with advances and repairs |
//! | `deltas` | `{r, v, d}`: run, version, row | rows of text between a run's events, sealed | inserts by key; deleted when they expire |
//! | `processes` | boot id | the processes that append: host and process, sessions, until when each is considered alive | with time |
//! | `store_keys` | KEK id | the store's index key and canary; unique `seq` lets one process be the first, the highest is the newest | once, then with appends |
//! | `used_tickets` | ticket id | stream tickets that were used; `until` is a date; later uses delete old ones | inserts and deletes |
//! | `meta` | `"store"` | the format; what a program must be able to read, with the version that first wrote it | before the first append that needs it |
//!
//! Documents that depend on a user key (`index_keys`, `content_keys`, `secrets`, `credentials`)
//! also change when a rotation gives the user a new one, all of them in one transaction. An append
//! that adds such a document changes `touch` of the user key, so that the two transactions
//! conflict.
//!
//! Ids are binaries of subtype 4, whose order is the order of the ids; hashes and boxes are
//! binaries of subtype 0; numbers have 64 bits; times are milliseconds. Fields by which a
//! collection is searched are stored beside `_id`.

use super::cells::Cells;
use super::error::{DbError, OpenError, code, is_duplicate, open_error};
use claviger_domain::catalogue::Requirement;
use futures::future::try_join_all;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use mongodb::options::Hint;
use mongodb::{Database, bson};
use std::collections::{BTreeSet, HashSet};

/// The newest format this program writes and reads. Format 2 is format 1 with requirements:
/// programs that know only format 1 look for none, and refuse it.
pub const FORMAT: u64 = 2;
/// The format of a database whose events every released program reads.
const PLAIN_FORMAT: i64 = 1;

/// The server's code for a collection that exists already.
const NAMESPACE_EXISTS: i32 = 48;

pub(super) const HEAD: &str = "log_head";
pub const EVENTS: &str = "events";
pub(super) const PARTS: &str = "parts";
pub(super) const CLAIMS: &str = "claims";
pub const COMMANDS: &str = "commands";
pub(super) const USER_KEYS: &str = "user_keys";
pub(super) const INDEX_KEYS: &str = "index_keys";
pub(super) const CONTENT_KEYS: &str = "content_keys";
pub(super) const SECRETS: &str = "secrets";
pub(super) const CREDENTIALS: &str = "credentials";
pub(super) const SESSIONS: &str = "sessions";
pub(super) const TIMERS: &str = "timers";
pub const VIEWS: &str = "views";
pub(super) const DEFAULTS: &str = "defaults";
pub(super) const LEASES: &str = "leases";
pub(super) const CHECKPOINTS: &str = "checkpoints";
pub(super) const QUARANTINE: &str = "quarantine";
pub(super) const DELTAS: &str = "deltas";
pub(super) const STORE_KEYS: &str = "store_keys";
pub(super) const PROCESSES: &str = "processes";
pub(super) const USED_TICKETS: &str = "used_tickets";
pub(super) const META: &str = "meta";

/// `_id` of the one document of `log_head`.
pub(super) const HEAD_ID: &str = "head";

/// Names of indexes that queries name: where two indexes would do, the server tries them, and keeps
/// the one that was faster for another owner.
pub(super) const BY_OWNER: &str = "owner";
pub(super) const BY_SUBJECT: &str = "subject";
pub(super) const BY_SORT: &str = "sort";
pub(super) const BY_PLACE: &str = "place";

/// The index of this name, and no other.
pub(super) fn by(index: &str) -> Hint {
    Hint::Name(index.to_owned())
}

struct Index {
    name: &'static str,
    keys: &'static [(&'static str, i32)],
    unique: bool,
}

const fn index(name: &'static str, keys: &'static [(&'static str, i32)]) -> Index {
    Index { name, keys, unique: false }
}

const fn unique(name: &'static str, keys: &'static [(&'static str, i32)]) -> Index {
    Index { name, keys, unique: true }
}

const COLLECTIONS: &[(&str, &[Index])] = &[
    (HEAD, &[]),
    (
        EVENTS,
        &[
            unique("position", &[("position", 1)]),
            unique("id", &[("id", 1)]),
            index(BY_OWNER, &[("owner", 1), ("position", 1)]),
            index(BY_SUBJECT, &[("owner", 1), ("subject", 1), ("position", 1)]),
        ],
    ),
    (PARTS, &[]),
    (CLAIMS, &[]),
    (COMMANDS, &[index("expiry", &[("open", 1), ("expires_at", 1)])]),
    (USER_KEYS, &[index("owner", &[("owner", 1), ("version", -1)]), index("kek", &[("kek", 1)])]),
    (INDEX_KEYS, &[]),
    (CONTENT_KEYS, &[index("owner", &[("owner", 1)])]),
    (SECRETS, &[index("owner", &[("owner", 1)])]),
    (CREDENTIALS, &[]),
    (SESSIONS, &[index("owner", &[("owner", 1), ("created_at", 1), ("_id", 1)])]),
    (TIMERS, &[index("owner", &[("owner", 1)]), index("due", &[("due_at", 1)])]),
    (
        VIEWS,
        &[
            index("owner", &[("owner", 1)]),
            index(BY_SORT, &[("view", 1), ("owner", 1), ("sort", 1), ("id", 1)]),
        ],
    ),
    (DEFAULTS, &[index("owner", &[("owner", 1), ("tag", 1)])]),
    (LEASES, &[]),
    (CHECKPOINTS, &[]),
    (
        QUARANTINE,
        &[index("owner", &[("owner", 1)]), index("view", &[("view", 1), ("owner", 1), ("id", 1)])],
    ),
    (
        DELTAS,
        &[unique(BY_PLACE, &[("run", 1), ("v", 1), ("d", 1)]), index("owner", &[("owner", 1)])],
    ),
    (STORE_KEYS, &[unique("seq", &[("seq", 1)])]),
    (PROCESSES, &[]),
    (USED_TICKETS, &[index("until", &[("until", 1)])]),
    (META, &[]),
];

/// The indexes of a collection.
#[derive(Clone, Copy)]
pub(super) struct CollectionIndexes(&'static [Index]);

impl CollectionIndexes {
    /// Whether one of them has this name.
    pub(super) fn has(self, name: &str) -> bool {
        self.0.iter().any(|index| index.name == name)
    }
}

/// The collections with their indexes.
pub(super) fn collections() -> impl Iterator<Item = (&'static str, CollectionIndexes)> {
    COLLECTIONS.iter().map(|(name, indexes)| (*name, CollectionIndexes(indexes)))
}

/// Whether a collection is one of ours.
pub(super) fn is_ours(name: &str) -> bool {
    COLLECTIONS.iter().any(|(ours, _)| *ours == name)
}

/// Creates what is not `there`, and refuses a newer format or a conflicting index. Several processes
/// may do so at the same time.
pub(super) async fn prepare(db: &Database, there: &HashSet<String>) -> Result<(), OpenError> {
    let mongo = |error: Error| open_error(db.name(), error.into());
    try_join_all(
        COLLECTIONS
            .iter()
            .map(|(name, indexes)| prepare_collection(db, name, indexes, there.contains(*name))),
    )
    .await?;
    let head = doc! { "$setOnInsert": { "position": 0_i64, "at": 0_i64, "frontier": binary(Vec::new()), "touch": 0_i64 } };
    insert_once(db, HEAD, HEAD_ID, head).await.map_err(mongo)?;
    insert_once(db, META, "store", doc! { "$setOnInsert": { "format": PLAIN_FORMAT } })
        .await
        .map_err(mongo)?;
    // Another program may have been faster.
    check_format(db).await
}

pub(super) async fn check_format(db: &Database) -> Result<(), OpenError> {
    let failed = |error: DbError| open_error(db.name(), error);
    let found = db.collection::<Document>(META).find_one(doc! { "_id": "store" }).await;
    let Some(meta) = found.map_err(|error| failed(error.into()))? else { return Ok(()) };
    let found = Cells::new(META, meta).u64("format").map_err(|error| failed(error.into()))?;
    if found > FORMAT {
        return Err(OpenError::Newer { database: db.name().to_owned(), found, known: FORMAT });
    }
    Ok(())
}

/// What a program must be able to read to open this database, with the version of the program that
/// first wrote it.
pub(super) async fn required(db: &Database) -> Result<Vec<(Requirement, String)>, DbError> {
    let meta = db.collection::<Document>(META).find_one(doc! { "_id": "store" }).await?;
    let Some(meta) = meta else { return Ok(Vec::new()) };
    let Some(required) = meta.get("required") else { return Ok(Vec::new()) };
    let corrupt = || DbError::from(Cells::new(META, meta.clone()).corrupt("required"));
    let required = required.as_document().ok_or_else(corrupt)?;
    required
        .iter()
        .map(|(name, program)| {
            let program = program.as_str().ok_or_else(corrupt)?;
            Ok((Requirement::stored(name), program.to_owned()))
        })
        .collect()
}

/// Makes requirements of what is about to be appended, and raises the format: durable once it
/// returns.
pub(super) async fn require(db: &Database, required: &BTreeSet<Requirement>) -> Result<(), Error> {
    let mut set = doc! {};
    for requirement in required {
        set.insert(format!("required.{requirement}"), env!("CARGO_PKG_VERSION"));
    }
    let format = i64::try_from(FORMAT).unwrap_or(i64::MAX);
    let raise = doc! { "$set": set, "$max": { "format": format } };
    let meta = db.collection::<Document>(META);
    meta.update_one(doc! { "_id": "store" }, raise).upsert(true).await.map(drop)
}

/// Inserts a document unless it is there.
async fn insert_once(
    db: &Database,
    collection: &str,
    id: &str,
    insert: Document,
) -> Result<(), Error> {
    match db
        .collection::<Document>(collection)
        .update_one(doc! { "_id": id }, insert)
        .upsert(true)
        .await
    {
        Err(error) if !is_duplicate(&error) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// `createIndexes` does nothing for an index that exists with this definition, and fails for one
/// with another definition: creating is the check.
async fn prepare_collection(
    db: &Database,
    collection: &'static str,
    indexes: &[Index],
    there: bool,
) -> Result<(), OpenError> {
    if !there
        && let Err(error) = db.create_collection(collection).await
        && code(&error) != NAMESPACE_EXISTS
    {
        return Err(open_error(db.name(), error.into()));
    }
    if indexes.is_empty() {
        return Ok(());
    }
    let specs = indexes.iter().map(|index| {
        let keys: Document = index
            .keys
            .iter()
            .map(|(field, order)| ((*field).to_owned(), (*order).into()))
            .collect();
        let mut spec = doc! { "name": index.name, "key": keys };
        if index.unique {
            spec.insert("unique", true);
        }
        bson::Bson::from(spec)
    });
    let specs: Vec<_> = specs.collect();
    let concern = doc! { "w": "majority", "j": true };
    let made = db
        .run_command(
            doc! { "createIndexes": collection, "indexes": specs, "writeConcern": concern },
        )
        .await;
    made.map(drop).map_err(|error| OpenError::Index { collection, code: code(&error) })
}

/// Bytes as they are stored.
pub(super) fn binary(bytes: Vec<u8>) -> bson::Bson {
    bson::Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes })
}

/// An id as it is stored.
pub(super) fn id(id: uuid::Uuid) -> bson::Bson {
    let bytes = id.into_bytes().to_vec();
    bson::Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Uuid, bytes })
}

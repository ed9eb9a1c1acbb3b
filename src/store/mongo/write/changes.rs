//! Row changes as changes of documents.

use crate::store::mongo::read::{default_id, secret_key, timer_key, timer_kind, view_key};
use crate::store::mongo::schema::{
    CONTENT_KEYS, CREDENTIALS, DEFAULTS, DELTAS, INDEX_KEYS, SECRETS, SESSIONS, TIMERS, USER_KEYS, VIEWS, binary, id,
};
use claviger_domain::id::UserId;
use claviger_projections::ports::{
    AppendError, ContentKeyRow, CredentialRow, IndexKeyRow, RowChange, SecretRow, SessionRow, TimerRow, UserKeyRow, ViewRow,
};
use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

/// One change of a document.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Inserts or replaces it. The document has its `_id`, and in `owner` whose it is where [`Change::Wipe`] may ask.
    Put {
        /// Of which collection.
        collection: &'static str,
        /// Its `_id`.
        id: Bson,
        /// Whose, where a wipe may ask.
        owner: Option<UserId>,
        /// All of it.
        document: Document,
    },
    /// Deletes it, if it is there.
    Delete {
        /// Of which collection.
        collection: &'static str,
        /// Its `_id`.
        id: Bson,
    },
    /// Deletes all documents of an owner but one.
    Wipe {
        /// Of which collection.
        collection: &'static str,
        /// The field that holds the owner.
        field: &'static str,
        /// Whose.
        owner: UserId,
        /// `_id` of the one that stays.
        except: Option<Bson>,
    },
}

/// What of a user is destroyed at erasure, and where their id stands.
const ERASED: [(&str, &str); 10] = [
    (USER_KEYS, "owner"),
    (INDEX_KEYS, "_id"),
    (CONTENT_KEYS, "owner"),
    (SECRETS, "owner"),
    (CREDENTIALS, "_id"),
    (SESSIONS, "owner"),
    (TIMERS, "owner"),
    (VIEWS, "owner"),
    (DEFAULTS, "owner"),
    (DELTAS, "owner"),
];

/// A number to be stored: BSON keeps 63 bits of it.
pub(super) fn stored(number: u64) -> Result<i64, AppendError> {
    i64::try_from(number).map_err(|_| AppendError::Malformed("a number above 2^63 - 1"))
}

/// Bytes, or nothing.
pub(super) fn opt_binary(bytes: Option<&Vec<u8>>) -> Bson {
    bytes.map_or(Bson::Null, |bytes| binary(bytes.clone()))
}

/// An id, or nothing.
pub(super) fn opt_id(found: Option<Uuid>) -> Bson {
    found.map_or(Bson::Null, id)
}

/// The changes of documents that a row change comes to.
pub(super) fn of(change: &RowChange) -> Result<Vec<Change>, AppendError> {
    let delete = |collection, id| Change::Delete { collection, id };
    let one = match change {
        RowChange::PutUserKey(row) => put_user_key(row),
        RowChange::PutIndexKey(row) => put_index_key(row),
        RowChange::PutContentKey(row) => put_content_key(row),
        RowChange::PutSecret(row) => put_secret(row),
        RowChange::DeleteSecret { owner, key, secret_version } => delete(SECRETS, secret_key(*owner, *key, *secret_version)),
        RowChange::PutCredential(row) => put_credential(row),
        RowChange::PutSession(row) => put_session(row)?,
        RowChange::DeleteSession(session) => delete(SESSIONS, id(session.0)),
        RowChange::DeleteSessions { owner, except } => {
            Change::Wipe { collection: SESSIONS, field: "owner", owner: *owner, except: except.map(|session| id(session.0)) }
        }
        RowChange::PutTimer(row) => put_timer(row)?,
        RowChange::DeleteTimer { kind, owner, subject } => delete(TIMERS, timer_key(*kind, *owner, *subject)),
        RowChange::PutView(row) => put_view(row)?,
        RowChange::DeleteView { view, owner, id } => delete(VIEWS, view_key(view, *owner, *id)),
        RowChange::PutDefault { owner, tag, key } => {
            let default = default_id(*owner, *tag);
            let fields = doc! { "owner": id(owner.0), "tag": binary(tag.0.to_vec()), "key": id(key.0) };
            put(DEFAULTS, default, *owner, fields)
        }
        RowChange::DeleteDefault { owner, tag } => delete(DEFAULTS, default_id(*owner, *tag)),
        RowChange::EraseUser(owner) => {
            let wipe = |(collection, field)| Change::Wipe { collection, field, owner: *owner, except: None };
            return Ok(ERASED.map(wipe).to_vec());
        }
    };
    Ok(vec![one])
}

fn put(collection: &'static str, id: Bson, owner: UserId, fields: Document) -> Change {
    let mut document = doc! { "_id": id.clone() };
    document.extend(fields);
    Change::Put { collection, id, owner: Some(owner), document }
}

fn put_user_key(row: &UserKeyRow) -> Change {
    let key = doc! { "o": id(row.owner.0), "v": i64::from(row.version) };
    let fields = doc! {
        "owner": id(row.owner.0),
        "version": i64::from(row.version),
        "kek": binary(row.kek.to_vec()),
        "wrapped": binary(row.wrapped.clone()),
    };
    put(USER_KEYS, key.into(), row.owner, fields)
}

fn put_index_key(row: &IndexKeyRow) -> Change {
    let fields = doc! { "user_key_version": i64::from(row.user_key_version), "wrapped": binary(row.wrapped.clone()) };
    put(INDEX_KEYS, id(row.owner.0), row.owner, fields)
}

fn put_content_key(row: &ContentKeyRow) -> Change {
    let fields = doc! {
        "owner": id(row.owner.0),
        "user_key_version": i64::from(row.user_key_version),
        "wrapped": binary(row.wrapped.clone()),
    };
    put(CONTENT_KEYS, row.stream.to_string().into(), row.owner, fields)
}

fn put_secret(row: &SecretRow) -> Change {
    let fields = doc! {
        "owner": id(row.owner.0),
        "user_key_version": i64::from(row.user_key_version),
        "wrapped_data_key": binary(row.wrapped_data_key.clone()),
        "sealed": binary(row.sealed.clone()),
    };
    put(SECRETS, secret_key(row.owner, row.key, row.secret_version), row.owner, fields)
}

fn put_credential(row: &CredentialRow) -> Change {
    let fields = doc! {
        "password_version": i64::from(row.password_version),
        "user_key_version": i64::from(row.user_key_version),
        "sealed": binary(row.sealed.clone()),
    };
    put(CREDENTIALS, id(row.owner.0), row.owner, fields)
}

fn put_session(row: &SessionRow) -> Result<Change, AppendError> {
    let fields = doc! {
        "owner": id(row.owner.0),
        "created_at": stored(row.created_at.0)?,
        "last_seen_at": stored(row.last_seen_at.0)?,
        "expires_at": stored(row.expires_at.0)?,
        "generation": i64::from(row.generation),
        "rotated_at": stored(row.rotated_at.0)?,
        "content": opt_binary(row.content.as_ref()),
    };
    Ok(put(SESSIONS, id(row.id.0), row.owner, fields))
}

fn put_timer(row: &TimerRow) -> Result<Change, AppendError> {
    let fields = doc! {
        "owner": id(row.owner.0),
        "kind": timer_kind(row.kind),
        "subject": id(row.subject),
        "command": row.command.map_or(Bson::Null, |command| binary(command.0.to_vec())),
        "due_at": stored(row.due_at.0)?,
    };
    Ok(put(TIMERS, timer_key(row.kind, row.owner, row.subject), row.owner, fields))
}

fn put_view(row: &ViewRow) -> Result<Change, AppendError> {
    let fields = doc! {
        "owner": id(row.owner.0),
        "view": row.view,
        "id": id(row.id),
        "sort": stored(row.sort)?,
        "stream": row.stream.to_string(),
        "facts": binary(row.facts.clone()),
        "content": opt_binary(row.content.as_ref()),
    };
    Ok(put(VIEWS, view_key(row.view, row.owner, row.id), row.owner, fields))
}

//! Row changes, converted to changes of documents.

use crate::mongo::read::{default_id, secret_key, timer_key, timer_kind, user_key_id, view_key};
use crate::mongo::schema::{
    CONTENT_KEYS, CREDENTIALS, DEFAULTS, DELTAS, INDEX_KEYS, QUARANTINE, SECRETS, SESSIONS,
    STORE_KEYS, TIMERS, USER_KEYS, VIEWS, binary, id,
};
use claviger_domain::id::UserId;
use claviger_projections::ports::{
    AppendError, ContentKeyRow, CredentialRow, IndexKeyRow, RowChange, SecretRow, SessionRow,
    StoreKeyRow, TimerRow, UserKeyRow, ViewRow,
};
use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

/// One change of a document.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Inserts or replaces a document. It contains its `_id`, and its owner in `owner` where
    /// [`Change::Wipe`] may look for it.
    Put {
        collection: &'static str,
        id: Bson,
        /// The owner, where a wipe may look for it.
        owner: Option<UserId>,
        /// The complete document.
        document: Document,
        /// Whether it is known not to exist, from reads made while the head is held.
        is_new: bool,
    },
    /// Deletes a document, if it exists.
    Delete { collection: &'static str, id: Bson },
    /// Deletes all documents of an owner.
    Wipe {
        collection: &'static str,
        /// The field that holds the owner.
        field: &'static str,
        owner: UserId,
    },
    /// Changes a user's key, so that a rotation which replaces it meanwhile conflicts.
    Touch {
        owner: UserId,
        /// Whether to mark it as worn.
        wear: bool,
    },
}

/// What erasure deletes of a user: the collections, and the field with the user's id.
const ERASED: [(&str, &str); 11] = [
    (USER_KEYS, "owner"),
    (INDEX_KEYS, "_id"),
    (CONTENT_KEYS, "owner"),
    (SECRETS, "owner"),
    (CREDENTIALS, "_id"),
    (SESSIONS, "owner"),
    (TIMERS, "owner"),
    (VIEWS, "owner"),
    (QUARANTINE, "owner"),
    (DEFAULTS, "owner"),
    (DELTAS, "owner"),
];

/// A number to be stored: BSON stores 63 bits of it.
pub(super) fn stored(number: u64) -> Result<i64, AppendError> {
    i64::try_from(number).map_err(|_| AppendError::Malformed("a number above 2^63 - 1"))
}

/// Bytes, or null.
pub(super) fn opt_binary(bytes: Option<&Vec<u8>>) -> Bson {
    bytes.map_or(Bson::Null, |bytes| binary(bytes.clone()))
}

/// An id, or null.
pub(super) fn opt_id(found: Option<Uuid>) -> Bson {
    found.map_or(Bson::Null, id)
}

/// Converts a row change of the append that ends at `position` to changes of documents.
pub(super) fn of(change: &RowChange, position: u64) -> Result<Vec<Change>, AppendError> {
    let sealed = change.sealed_under().map(|(owner, _)| Change::Touch { owner, wear: false });
    let shredded = change.shreds_of().map(|owner| Change::Touch { owner, wear: true });
    let delete = |collection, id| Change::Delete { collection, id };
    let one = match change {
        RowChange::PutUserKey(row) => put_user_key(row),
        RowChange::PutIndexKey(row) => put_index_key(row),
        RowChange::PutContentKey(row) => put_content_key(row),
        RowChange::PutSecret(row) => put_secret(row),
        RowChange::DeleteSecret { owner, key, secret_version } => {
            delete(SECRETS, secret_key(*owner, *key, *secret_version))
        }
        RowChange::PutCredential(row) => put_credential(row),
        RowChange::PutSession(row) => put_session(row)?,
        RowChange::DeleteSession(session) => delete(SESSIONS, id(session.0)),
        RowChange::PutTimer(row) => put_timer(row)?,
        RowChange::DeleteTimer { kind, owner, subject } => {
            delete(TIMERS, timer_key(*kind, *owner, *subject))
        }
        RowChange::PutView(row) => put_view(row)?,
        RowChange::DeleteView { view, owner, id } => delete(VIEWS, view_key(view, *owner, *id)),
        RowChange::PutDefault { owner, tag, key } => {
            let default = default_id(*owner, *tag);
            let fields =
                doc! { "owner": id(owner.0), "tag": binary(tag.0.to_vec()), "key": id(key.0) };
            put(DEFAULTS, default, *owner, fields)
        }
        RowChange::DeleteDefault { owner, tag } => delete(DEFAULTS, default_id(*owner, *tag)),
        RowChange::PutStoreKey(row) => put_store_key(row, position)?,
        RowChange::DeleteStoreKey(kek) => delete(STORE_KEYS, binary(kek.to_vec())),
        RowChange::EraseUser(owner) => {
            let wipe = |(collection, field)| Change::Wipe { collection, field, owner: *owner };
            return Ok(ERASED.map(wipe).to_vec());
        }
    };
    Ok(std::iter::once(one).chain(sealed).chain(shredded).collect())
}

fn put(collection: &'static str, id: Bson, owner: UserId, fields: Document) -> Change {
    let mut document = doc! { "_id": id.clone() };
    document.extend(fields);
    Change::Put { collection, id, owner: Some(owner), document, is_new: false }
}

fn put_user_key(row: &UserKeyRow) -> Change {
    let fields = doc! {
        "owner": id(row.owner.0),
        "version": i64::from(row.version),
        "kek": binary(row.kek.to_vec()),
        "wrapped": binary(row.wrapped.clone()),
    };
    put(USER_KEYS, user_key_id(row.owner, row.version), row.owner, fields)
}

/// The first store key has `seq` 1, so a key that comes with an append has one more than the
/// append's position.
fn put_store_key(row: &StoreKeyRow, position: u64) -> Result<Change, AppendError> {
    let document = store_key_document(row, stored(position.saturating_add(1))?);
    Ok(Change::Put {
        collection: STORE_KEYS,
        id: binary(row.kek.to_vec()),
        owner: None,
        document,
        is_new: false,
    })
}

/// The store's own keys under a KEK; the highest `seq` is the newest.
pub(super) fn store_key_document(row: &StoreKeyRow, seq: i64) -> Document {
    doc! {
        "_id": binary(row.kek.to_vec()),
        "seq": seq,
        "wrapped_index_key": binary(row.wrapped_index_key.clone()),
        "canary": binary(row.canary.clone()),
    }
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
        "mac": row.mac.map_or(Bson::Null, |mac| binary(mac.to_vec())),
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

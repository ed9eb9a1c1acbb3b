//! Queries for a rotation of the master key, and its one change that needs no transaction.

use super::rows::{
    content_key_row, credential_row, index_key_row, many_but_corrupt, secret_row, user_key_id,
    user_key_row,
};
use crate::mongo::cells::Cells;
use crate::mongo::error::DbError;
use crate::mongo::schema::{CONTENT_KEYS, CREDENTIALS, INDEX_KEYS, SECRETS, USER_KEYS, binary, id};
use crate::mongo::session;
use crate::skipped::Skipped;
use claviger_domain::id::UserId;
use claviger_projections::ports::{KekId, StoreError, UserKeyRow, UserKeyState, UserRows};
use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::{ClientSession, Database};

pub(super) fn user_key_state(cells: &Cells) -> Result<UserKeyState, StoreError> {
    Ok(UserKeyState { row: user_key_row(cells)?, worn: cells.bool("worn").unwrap_or(false) })
}

/// User keys by owner, without those under the KEK `not_under`.
pub(in crate::mongo) async fn user_keys(
    db: &Database,
    not_under: Option<KekId>,
    after: Option<UserId>,
    limit: usize,
    skipped: &Skipped,
) -> Result<Vec<UserKeyState>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut filter = doc! {};
    if let Some(kek) = not_under {
        filter.insert("kek", doc! { "$ne": binary(kek.to_vec()) });
    }
    if let Some(after) = after {
        filter.insert("owner", doc! { "$gt": id(after.0) });
    }
    let by_owner = (filter, doc! { "owner": 1, "version": 1 });
    many_but_corrupt(db, USER_KEYS, by_owner, (limit, skipped), user_key_state).await
}

/// A user's newest key, and everything that depends on it, in a transaction of its own.
pub(in crate::mongo) async fn user_rows(
    db: &Database,
    owner: UserId,
) -> Result<Option<UserRows>, DbError> {
    let mut snapshot = session::snapshot(db.client()).await?;
    let found = rows_in(db, &mut snapshot, owner).await;
    session::end(&mut snapshot, found).await
}

/// The same in an open transaction.
pub(in crate::mongo) async fn rows_in(
    db: &Database,
    session: &mut ClientSession,
    owner: UserId,
) -> Result<Option<UserRows>, DbError> {
    let of_owner = || doc! { "owner": id(owner.0) };
    let named = || doc! { "_id": id(owner.0) };
    let mut keys = all(db, session, USER_KEYS, of_owner(), user_key_state).await?;
    keys.sort_by_key(|key| key.row.version);
    let Some(key) = keys.pop() else { return Ok(None) };
    let index_key = all(db, session, INDEX_KEYS, named(), index_key_row).await?.pop();
    let mut content_keys = all(db, session, CONTENT_KEYS, of_owner(), content_key_row).await?;
    content_keys.sort_by_key(|row| row.stream.to_string());
    let mut secrets = all(db, session, SECRETS, of_owner(), secret_row).await?;
    secrets.sort_by_key(|row| (row.key, row.secret_version));
    let credential = all(db, session, CREDENTIALS, named(), credential_row).await?.pop();
    Ok(Some(UserRows { key, index_key, content_keys, secrets, credential }))
}

async fn all<T>(
    db: &Database,
    session: &mut ClientSession,
    collection: &'static str,
    filter: Document,
    read: impl Fn(&Cells) -> Result<T, StoreError>,
) -> Result<Vec<T>, DbError> {
    let mut cursor =
        db.collection::<Document>(collection).find(filter).session(&mut *session).await?;
    let documents: Vec<Document> = cursor.stream(session).try_collect().await?;
    Ok(documents
        .into_iter()
        .map(|document| read(&Cells::new(collection, document)))
        .collect::<Result<_, _>>()?)
}

/// Compare and set of one document: it disturbs no append, and an append that marks or deletes the
/// document conflicts with it in the server. Idempotent by what it writes, whose nonce is random:
/// if the reply is lost and the write retried, the retry finds its own.
pub(in crate::mongo) async fn rewrap_user_key(
    db: &Database,
    from: UserKeyRow,
    to: UserKeyRow,
) -> Result<bool, DbError> {
    let user_keys = db.collection::<Document>(USER_KEYS);
    let key = user_key_id(from.owner, from.version);
    let is_from = doc! {
        "_id": key.clone(),
        "kek": binary(from.kek.to_vec()),
        "wrapped": binary(from.wrapped),
        "worn": { "$ne": true },
    };
    let (kek, wrapped) = (binary(to.kek.to_vec()), binary(to.wrapped));
    let set = doc! { "$set": { "kek": kek, "wrapped": wrapped.clone() } };
    if user_keys.find_one_and_update(is_from, set).await?.is_some() {
        return Ok(true);
    }
    Ok(user_keys.find_one(doc! { "_id": key, "wrapped": wrapped }).await?.is_some())
}

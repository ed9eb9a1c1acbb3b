//! Rows outside the log.

use crate::mongo::cells::{Cells, bound, limit as at_most};
use crate::mongo::error::DbError;
use crate::mongo::schema::{
    CONTENT_KEYS, CREDENTIALS, INDEX_KEYS, SECRETS, SESSIONS, STORE_KEYS, TIMERS, USER_KEYS,
    binary, id,
};
use crate::skipped::Skipped;
use claviger_domain::id::{CommandId, KeyId, SessionId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    ContentKeyRow, CredentialRow, IndexKeyRow, KekId, SecretRow, SessionRow, StoreError,
    StoreKeyRow, TimerKind, TimerRow, UserKeyRow,
};
use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::{Cursor, Database};
use uuid::Uuid;

/// Reads one document into a type.
async fn one<T>(
    db: &Database,
    collection: &'static str,
    filter: Document,
    read: impl Fn(&Cells) -> Result<T, StoreError>,
) -> Result<Option<T>, DbError> {
    let found = db.collection::<Document>(collection).find_one(filter).await?;
    Ok(found.map(|document| read(&Cells::new(collection, document))).transpose()?)
}

/// Reads several documents into types.
async fn many<T>(
    db: &Database,
    collection: &'static str,
    (filter, sort, limit): (Document, Document, usize),
    read: impl Fn(&Cells) -> Result<T, StoreError>,
) -> Result<Vec<T>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let cursor =
        db.collection::<Document>(collection).find(filter).sort(sort).limit(at_most(limit)).await?;
    let documents: Vec<Document> = cursor.try_collect().await?;
    Ok(documents
        .into_iter()
        .map(|document| read(&Cells::new(collection, document)))
        .collect::<Result<_, _>>()?)
}

/// Reads the first documents into types, but for those that cannot be decoded: for readers of many
/// owners' documents, where one such document must not hold what belongs to others. Those that are
/// passed over use up nothing of the limit.
pub(super) async fn many_but_corrupt<T>(
    db: &Database,
    collection: &'static str,
    (filter, sort): (Document, Document),
    (limit, skipped): (usize, &Skipped),
    read: impl Fn(&Cells) -> Result<T, StoreError>,
) -> Result<Vec<T>, DbError> {
    let documents = db.collection::<Document>(collection);
    let cursor = documents.find(filter).sort(sort).batch_size(batch_of(limit)).await?;
    but_corrupt(cursor, collection, (limit, skipped), read).await
}

/// Documents per answer of the server, for a reader of at most `limit`.
pub(super) fn batch_of(limit: usize) -> u32 {
    // One in reserve: the server then knows the end without another question.
    u32::try_from(limit.saturating_add(1)).unwrap_or(u32::MAX).clamp(2, 1_001)
}

pub(super) async fn but_corrupt<T>(
    mut cursor: Cursor<Document>,
    collection: &'static str,
    (limit, skipped): (usize, &Skipped),
    read: impl Fn(&Cells) -> Result<T, StoreError>,
) -> Result<Vec<T>, DbError> {
    let mut all = Vec::new();
    while all.len() < limit
        && let Some(document) = cursor.try_next().await?
    {
        all.extend(skipped.unless_corrupt(read(&Cells::new(collection, document))));
    }
    Ok(all)
}

pub(super) fn store_key(cells: &Cells) -> Result<StoreKeyRow, StoreError> {
    Ok(StoreKeyRow {
        kek: cells.array("_id")?,
        wrapped_index_key: cells.bytes("wrapped_index_key")?.to_vec(),
        canary: cells.bytes("canary")?.to_vec(),
    })
}

/// The store's own keys, newest first.
pub(in crate::mongo) async fn store_keys(db: &Database) -> Result<Vec<StoreKeyRow>, DbError> {
    many(db, STORE_KEYS, (doc! {}, doc! { "seq": -1 }, usize::MAX), store_key).await
}

/// How many user keys each KEK wraps.
pub(in crate::mongo) async fn user_keys_by_kek(
    db: &Database,
    skipped: &Skipped,
) -> Result<Vec<(KekId, u64)>, DbError> {
    let group = doc! { "$group": { "_id": "$kek", "count": { "$sum": 1_i64 } } };
    let cursor = db
        .collection::<Document>(USER_KEYS)
        .aggregate([group, doc! { "$sort": { "_id": 1 } }])
        .await?;
    but_corrupt(cursor, USER_KEYS, (usize::MAX, skipped), |cells| {
        Ok((cells.array("_id")?, cells.u64("count")?))
    })
    .await
}

/// The newest user key of a user.
pub(in crate::mongo) async fn user_key(
    db: &Database,
    owner: UserId,
) -> Result<Option<UserKeyRow>, DbError> {
    let newest = (doc! { "owner": id(owner.0) }, doc! { "version": -1 }, 1);
    Ok(many(db, USER_KEYS, newest, user_key_row).await?.pop())
}

pub(super) fn user_key_row(cells: &Cells) -> Result<UserKeyRow, StoreError> {
    Ok(UserKeyRow {
        owner: UserId(cells.id("owner")?),
        version: cells.u32("version")?,
        kek: cells.array("kek")?,
        wrapped: cells.bytes("wrapped")?.to_vec(),
    })
}

/// `_id` of a version of a user's key.
pub(in crate::mongo) fn user_key_id(owner: UserId, version: u32) -> Bson {
    doc! { "o": id(owner.0), "v": i64::from(version) }.into()
}

pub(in crate::mongo) async fn index_key(
    db: &Database,
    owner: UserId,
) -> Result<Option<IndexKeyRow>, DbError> {
    one(db, INDEX_KEYS, doc! { "_id": id(owner.0) }, index_key_row).await
}

pub(super) fn index_key_row(cells: &Cells) -> Result<IndexKeyRow, StoreError> {
    Ok(IndexKeyRow {
        owner: UserId(cells.id("_id")?),
        user_key_version: cells.u32("user_key_version")?,
        wrapped: cells.bytes("wrapped")?.to_vec(),
    })
}

pub(in crate::mongo) async fn content_key(
    db: &Database,
    stream: StreamName,
) -> Result<Option<ContentKeyRow>, DbError> {
    one(db, CONTENT_KEYS, doc! { "_id": stream.to_string() }, content_key_row).await
}

pub(super) fn content_key_row(cells: &Cells) -> Result<ContentKeyRow, StoreError> {
    Ok(ContentKeyRow {
        stream: cells.stream("_id")?,
        owner: UserId(cells.id("owner")?),
        user_key_version: cells.u32("user_key_version")?,
        wrapped: cells.bytes("wrapped")?.to_vec(),
    })
}

/// `_id` of a version of a secret.
pub(in crate::mongo) fn secret_key(owner: UserId, key: KeyId, secret_version: u32) -> Bson {
    doc! { "o": id(owner.0), "k": id(key.0), "v": i64::from(secret_version) }.into()
}

pub(in crate::mongo) async fn secret(
    db: &Database,
    owner: UserId,
    key: KeyId,
    secret_version: u32,
) -> Result<Option<SecretRow>, DbError> {
    one(db, SECRETS, doc! { "_id": secret_key(owner, key, secret_version) }, secret_row).await
}

pub(super) fn secret_row(cells: &Cells) -> Result<SecretRow, StoreError> {
    let named = cells.key()?;
    Ok(SecretRow {
        owner: UserId(named.id("o")?),
        key: KeyId(named.id("k")?),
        secret_version: named.u32("v")?,
        user_key_version: cells.u32("user_key_version")?,
        wrapped_data_key: cells.bytes("wrapped_data_key")?.to_vec(),
        sealed: cells.bytes("sealed")?.to_vec(),
    })
}

pub(in crate::mongo) async fn count_secrets(db: &Database) -> Result<u64, DbError> {
    Ok(db.collection::<Document>(SECRETS).count_documents(doc! {}).await?)
}

/// A user's sealed password hash.
pub(in crate::mongo) async fn credential(
    db: &Database,
    owner: UserId,
) -> Result<Option<CredentialRow>, DbError> {
    one(db, CREDENTIALS, doc! { "_id": id(owner.0) }, credential_row).await
}

pub(super) fn credential_row(cells: &Cells) -> Result<CredentialRow, StoreError> {
    Ok(CredentialRow {
        owner: UserId(cells.id("_id")?),
        password_version: cells.u32("password_version")?,
        user_key_version: cells.u32("user_key_version")?,
        sealed: cells.bytes("sealed")?.to_vec(),
    })
}

pub(in crate::mongo) async fn session(
    db: &Database,
    session: SessionId,
) -> Result<Option<SessionRow>, DbError> {
    one(db, SESSIONS, doc! { "_id": id(session.0) }, session_row).await
}

/// A user's sessions, newest first.
pub(in crate::mongo) async fn sessions(
    db: &Database,
    owner: UserId,
    skipped: &Skipped,
) -> Result<Vec<SessionRow>, DbError> {
    let newest_first = (doc! { "owner": id(owner.0) }, doc! { "created_at": -1, "_id": -1 });
    many_but_corrupt(db, SESSIONS, newest_first, (usize::MAX, skipped), session_row).await
}

pub(super) fn session_row(cells: &Cells) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: SessionId(cells.id("_id")?),
        owner: UserId(cells.id("owner")?),
        created_at: cells.time("created_at")?,
        last_seen_at: cells.time("last_seen_at")?,
        expires_at: cells.time("expires_at")?,
        generation: cells.u32("generation")?,
        rotated_at: cells.time("rotated_at")?,
        content: cells.opt_bytes("content")?.map(<[u8]>::to_vec),
        mac: cells.opt_array("mac")?,
    })
}

/// A rotation of a refresh token.
#[derive(Clone, Copy, Debug)]
pub(in crate::mongo) struct SessionRotation {
    pub(in crate::mongo) session: SessionId,
    /// The expected generation.
    pub(in crate::mongo) from: u32,
    pub(in crate::mongo) now: Timestamp,
    /// New expiry.
    pub(in crate::mongo) until: Timestamp,
    pub(in crate::mongo) mac: Option<[u8; 32]>,
    /// Random: identifies this rotation.
    pub(in crate::mongo) mark: [u8; 16],
}

/// Compare and set. Idempotent by its mark: if the reply is lost and the write retried, the retry
/// finds its own mark.
pub(in crate::mongo) async fn rotate_session(
    db: &Database,
    rotation: SessionRotation,
) -> Result<bool, DbError> {
    let sessions = db.collection::<Document>(SESSIONS);
    let Some(next) = rotation.from.checked_add(1) else { return Ok(false) };
    let (session, mark) = (id(rotation.session.0), binary(rotation.mark.to_vec()));
    let set = doc! {
        "generation": i64::from(next),
        "rotated_at": bound(rotation.now.0),
        "last_seen_at": bound(rotation.now.0),
        "expires_at": bound(rotation.until.0),
        "mark": mark.clone(),
        "mac": rotation.mac.map_or(Bson::Null, |mac| binary(mac.to_vec())),
    };
    let is_from = doc! { "_id": session.clone(), "generation": i64::from(rotation.from) };
    if sessions.find_one_and_update(is_from, doc! { "$set": set }).await?.is_some() {
        return Ok(true);
    }
    let mine = doc! { "_id": session, "generation": i64::from(next), "mark": mark };
    Ok(sessions.find_one(mine).await?.is_some())
}

/// The number a kind of timer is stored as.
pub(in crate::mongo) const fn timer_kind(kind: TimerKind) -> i64 {
    match kind {
        TimerKind::KeyExpiry => 1,
        TimerKind::KeyTest => 2,
        TimerKind::DeltaExpiry => 3,
    }
}

/// `_id` of a timer.
pub(in crate::mongo) fn timer_key(kind: TimerKind, owner: UserId, subject: Uuid) -> Bson {
    doc! { "o": id(owner.0), "k": timer_kind(kind), "s": id(subject) }.into()
}

/// Puts a timer off, or deletes it, if it is due when it was read to be. A write whose reply is lost
/// and that is retried returns `false`: the timer is moved all the same.
pub(in crate::mongo) async fn move_timer(
    db: &Database,
    timer: TimerRow,
    until: Option<Timestamp>,
) -> Result<bool, DbError> {
    let timers = db.collection::<Document>(TIMERS);
    let key = timer_key(timer.kind, timer.owner, timer.subject);
    let found = doc! { "_id": key, "due_at": bound(timer.due_at.0) };
    let moved = match until {
        Some(until) => {
            let set = doc! { "$set": { "due_at": bound(until.0) } };
            timers.update_one(found, set).await?.matched_count
        }
        None => timers.delete_one(found).await?.deleted_count,
    };
    Ok(moved == 1)
}

/// Timers that are due, earliest first. Those of a kind that a newer program made are not ours.
pub(in crate::mongo) async fn due_timers(
    db: &Database,
    now: Timestamp,
    limit: usize,
    skipped: &Skipped,
) -> Result<Vec<TimerRow>, DbError> {
    let due = doc! { "due_at": { "$lte": bound(now.0) }, "kind": { "$lte": 3 } };
    let order = doc! { "due_at": 1, "kind": 1, "owner": 1, "subject": 1 };
    many_but_corrupt(db, TIMERS, (due, order), (limit, skipped), |cells| {
        let timer = timer_row(cells)?;
        // It is moved and removed by its key.
        let key = timer_key(timer.kind, timer.owner, timer.subject);
        if cells.is(&key) { Ok(timer) } else { Err(cells.corrupt("_id")) }
    })
    .await
}

pub(super) fn timer_row(cells: &Cells) -> Result<TimerRow, StoreError> {
    let kind = match cells.u64("kind")? {
        1 => TimerKind::KeyExpiry,
        2 => TimerKind::KeyTest,
        3 => TimerKind::DeltaExpiry,
        _ => return Err(cells.corrupt("kind")),
    };
    Ok(TimerRow {
        kind,
        owner: UserId(cells.id("owner")?),
        subject: cells.id("subject")?,
        command: cells.opt_array("command")?.map(CommandId),
        due_at: cells.time("due_at")?,
    })
}

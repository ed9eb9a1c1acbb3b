//! The log, its records and claims.

use crate::mongo::cells::{Cells, bound, limit as at_most};
use crate::mongo::error::DbError;
use crate::mongo::schema::{
    BY_OWNER, BY_SUBJECT, CLAIMS, COMMANDS, EVENTS, HEAD, HEAD_ID, PARTS, binary, by, id,
};
use claviger_domain::actor::{ActingCredential, Actor, Role, Via};
use claviger_domain::event::{Envelope, EnvelopeVersion};

use claviger_domain::id::{CommandId, CorrelationId, EventId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    ClaimKind, CommandRecord, Direction, HistoryFilter, StoreError, StoredEvent,
};
use claviger_proof::Frontier;
use futures::TryStreamExt;
use mongodb::action::Action as _;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Hint;
use mongodb::{ClientSession, Database};
use std::collections::HashMap;
use uuid::Uuid;

/// The end of the log, read from a document.
pub(in crate::mongo) fn head_of(document: Document) -> Result<(Frontier, Timestamp), StoreError> {
    let cells = Cells::new(HEAD, document);
    let (position, at, roots) =
        (cells.u64("position")?, cells.time("at")?, cells.bytes("frontier")?);
    let frontier =
        Frontier::from_bytes(position, roots).ok_or_else(|| cells.corrupt("frontier"))?;
    Ok((frontier, at))
}

/// The end of the log.
pub(in crate::mongo) async fn head(db: &Database) -> Result<(Frontier, Timestamp), DbError> {
    let found = db.collection::<Document>(HEAD).find_one(doc! { "_id": HEAD_ID }).await?;
    let head = found
        .ok_or_else(|| StoreError::Corrupt("collection log_head has no document".to_owned()))?;
    Ok(head_of(head)?)
}

/// Position of the last stored event, read without the head.
pub(in crate::mongo) async fn last_position(db: &Database) -> Result<u64, DbError> {
    let events = db.collection::<Document>(EVENTS);
    let last = events
        .find_one(doc! {})
        .sort(doc! { "position": -1 })
        .projection(doc! { "position": 1 })
        .await?;
    Ok(match last {
        Some(last) => Cells::new(EVENTS, last).u64("position")?,
        None => 0,
    })
}

/// The time of the event at a position, which begins with the log at 0; in a transaction, if there
/// is one.
pub(in crate::mongo) async fn time_of(
    db: &Database,
    session: Option<&mut ClientSession>,
    position: u64,
) -> Result<Option<Timestamp>, DbError> {
    if position == 0 {
        return Ok(Some(Timestamp::default()));
    }
    let events = db.collection::<Document>(EVENTS);
    let find = events.find_one(doc! { "position": bound(position) });
    let find = find.projection(doc! { "at": 1 });
    let found = match session {
        Some(session) => find.session(session).await?,
        None => find.await?,
    };
    Ok(found.map(|event| Cells::new(EVENTS, event).time("at")).transpose()?)
}

/// Events after a position. A missing one is an error, at the end of the log too, which the head
/// gives. The head is read before the events that must reach it, so commits in between are no gap.
pub(in crate::mongo) async fn events_after(
    db: &Database,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>, DbError> {
    let mut found: Vec<StoredEvent> = Vec::new();
    let (mut last, mut promised) = (after, 0);
    while found.len() < limit {
        let filter = doc! { "position": { "$gt": bound(last) } };
        let page = events(db, filter, doc! { "position": 1 }, limit - found.len()).await?;
        for event in page {
            let expected = last.saturating_add(1);
            if event.envelope.position != expected {
                return Err(StoreError::Gap { expected }.into());
            }
            last = expected;
            found.push(event);
        }
        if found.len() == limit {
            break;
        }
        if last < promised {
            return Err(StoreError::Gap { expected: last.saturating_add(1) }.into());
        }
        promised = head(db).await?.0.size();
        if promised <= last {
            break;
        }
    }
    Ok(found)
}

/// Events of a stream after a version.
pub(in crate::mongo) async fn stream_after(
    db: &Database,
    stream: StreamName,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>, DbError> {
    let filter =
        doc! { "_id": { "$gt": event_key(stream, after), "$lte": event_key(stream, u64::MAX) } };
    let found = events(db, filter, doc! { "_id": 1 }, limit).await?;
    let mut expected = after;
    for event in &found {
        expected = expected.saturating_add(1);
        if event.envelope.version != expected {
            return Err(StoreError::Corrupt(format!(
                "stream {stream}: version {expected} is missing"
            ))
            .into());
        }
    }
    Ok(found)
}

/// The event with an id.
pub(in crate::mongo) async fn event(
    db: &Database,
    event: EventId,
) -> Result<Option<StoredEvent>, DbError> {
    Ok(events(db, doc! { "id": id(event.0) }, doc! {}, 1).await?.pop())
}

/// An owner's events that pass the filter.
pub(in crate::mongo) async fn history(
    db: &Database,
    owner: UserId,
    filter: HistoryFilter,
    direction: Direction,
    limit: usize,
) -> Result<Vec<StoredEvent>, DbError> {
    let order = match direction {
        Direction::Backward => -1,
        Direction::Forward => 1,
    };
    // Not the index of positions, by which all owners' events would be read.
    let index = if filter.subject.is_some() { BY_SUBJECT } else { BY_OWNER };
    let sort = doc! { "position": order };
    events_by(db, (condition(owner, filter), Some(by(index))), sort, limit).await
}

fn condition(owner: UserId, filter: HistoryFilter) -> Document {
    let above = bound(filter.above.unwrap_or(0));
    let below = bound(filter.below.unwrap_or(u64::MAX));
    let mut condition = doc! { "owner": id(owner.0), "position": { "$gt": above, "$lt": below } };
    if let Some(subject) = filter.subject {
        condition.insert("subject", id(subject));
    }
    if !filter.kinds.is_empty() {
        condition.insert("kind", doc! { "$in": filter.kinds });
    }
    condition
}

async fn events(
    db: &Database,
    filter: Document,
    sort: Document,
    limit: usize,
) -> Result<Vec<StoredEvent>, DbError> {
    events_by(db, (filter, None), sort, limit).await
}

async fn events_by(
    db: &Database,
    (filter, index): (Document, Option<Hint>),
    sort: Document,
    limit: usize,
) -> Result<Vec<StoredEvent>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let found = db.collection::<Document>(EVENTS);
    let find = found
        .find(filter)
        .sort(sort)
        .limit(at_most(limit))
        .optional(index, mongodb::action::Find::hint);
    let cursor = find.await?;
    let documents: Vec<Document> = cursor.try_collect().await?;
    let mut found =
        documents.into_iter().map(stored_event).collect::<Result<Vec<_>, StoreError>>()?;
    let wanted: Vec<(u64, u64)> = found
        .iter()
        .filter(|(_, boxes)| *boxes > 1)
        .map(|(event, boxes)| (event.envelope.position, *boxes))
        .collect();
    if !wanted.is_empty() {
        let mut parts = parts(db, &wanted).await?;
        for (event, boxes) in found.iter_mut().filter(|(_, boxes)| *boxes > 1) {
            event.content = take_parts(&mut parts, event.envelope.position, *boxes)?;
        }
    }
    Ok(found.into_iter().map(|(event, _)| event).collect())
}

/// `_id` of an event: the stream and the version in twenty digits, so that the order of the keys is
/// the order of the versions.
pub(in crate::mongo) fn event_key(stream: StreamName, version: u64) -> String {
    format!("{stream}/{version:020}")
}

/// The stream and version of an event.
pub(in crate::mongo) fn event_place(cells: &Cells) -> Result<(StreamName, u64), StoreError> {
    let place = cells.text("_id")?.rsplit_once('/');
    let place = place
        .and_then(|(stream, version)| Some((StreamName::parse(stream)?, version.parse().ok()?)));
    place.ok_or_else(|| cells.corrupt("_id"))
}

/// The parts of several events, by (position, index).
pub(super) async fn parts(
    db: &Database,
    wanted: &[(u64, u64)],
) -> Result<HashMap<(u64, u64), Vec<u8>>, DbError> {
    let keys = wanted
        .iter()
        .flat_map(|(position, boxes)| (0..*boxes).map(|part| part_id(*position, part)));
    let keys: Vec<Bson> = keys.collect();
    let cursor = db.collection::<Document>(PARTS).find(doc! { "_id": { "$in": keys } }).await?;
    let documents: Vec<Document> = cursor.try_collect().await?;
    let mut parts = HashMap::new();
    for document in documents {
        let cells = Cells::new(PARTS, document);
        let key = cells.key()?;
        parts.insert((key.u64("p")?, key.u64("n")?), cells.bytes("box")?.to_vec());
    }
    Ok(parts)
}

/// `_id` of a part.
pub(in crate::mongo) fn part_id(position: u64, part: u64) -> Bson {
    doc! { "p": bound(position), "n": bound(part) }.into()
}

pub(super) fn take_parts(
    parts: &mut HashMap<(u64, u64), Vec<u8>>,
    position: u64,
    boxes: u64,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let missing = || StoreError::Corrupt(format!("collection parts, position {position}"));
    (0..boxes).map(|part| parts.remove(&(position, part)).ok_or_else(missing)).collect()
}

/// The event of a document, and its number of boxes. Several boxes are not stored in the document.
pub(super) fn stored_event(document: Document) -> Result<(StoredEvent, u64), StoreError> {
    let cells = Cells::new(EVENTS, document);
    let (stream, version) = event_place(&cells)?;
    let (envelope_version, actor) = recorded(&cells)?;
    let envelope = Envelope {
        envelope_version,
        position: cells.u64("position")?,
        stream,
        owner: cells.opt_id("owner")?.map(UserId),
        version,
        id: EventId(cells.id("id")?),
        kind: cells.text("kind")?.to_owned(),
        schema: cells.u32("schema")?,
        at: cells.time("at")?,
        actor,
        command_id: CommandId(cells.array("command_id")?),
        correlation_id: CorrelationId(cells.id("correlation_id")?),
        causation_id: cells.opt_id("causation_id")?.map(EventId),
    };
    let boxes = cells.u64("boxes")?;
    let content = cells.opt_bytes("content")?;
    if content.is_some() != (boxes == 1) {
        return Err(cells.corrupt("content"));
    }
    let content = content.map(<[u8]>::to_vec).into_iter().collect();
    let (facts, subject, leaf) =
        (cells.bytes("facts")?.to_vec(), cells.opt_id("subject")?, cells.array("leaf")?);
    let signature = cells.opt_array("signature")?;
    Ok((StoredEvent { envelope, facts, content, subject, leaf, signature }, boxes))
}

/// The envelope's version, 1 where the document names none, and the actor. What the version can't
/// have recorded is corrupt.
fn recorded(cells: &Cells) -> Result<(EnvelopeVersion, Actor), StoreError> {
    let version = match cells.opt_u32("envelope")? {
        None => EnvelopeVersion::V1,
        Some(number) => {
            EnvelopeVersion::of_number(number).ok_or_else(|| cells.corrupt("envelope"))?
        }
    };
    let actor = actor(cells)?;
    if version.record(actor) == Some(actor) {
        Ok((version, actor))
    } else {
        Err(cells.corrupt("envelope"))
    }
}

fn actor(cells: &Cells) -> Result<Actor, StoreError> {
    let user = cells.opt_id("actor_user")?.map(UserId);
    let role = match cells.opt_text("actor_role")? {
        None => None,
        Some(word) => Some(Role::parse(word).ok_or_else(|| cells.corrupt("actor_role"))?),
    };
    let via = Via::parse(cells.text("actor_via")?).ok_or_else(|| cells.corrupt("actor_via"))?;
    let id = cells.opt_id("actor_credential_id")?;
    let credential = match cells.opt_text("actor_credential")? {
        Some(kind) => Some(
            ActingCredential::parse(kind, id).ok_or_else(|| cells.corrupt("actor_credential"))?,
        ),
        None if id.is_some() => return Err(cells.corrupt("actor_credential_id")),
        None => None,
    };
    Ok(Actor { user, role, via, credential })
}

/// `_id` of a command record.
pub(in crate::mongo) fn command_key(command: CommandId) -> Bson {
    binary(command.0.to_vec())
}

/// The record of a command.
pub(in crate::mongo) async fn command_record(
    db: &Database,
    command: CommandId,
) -> Result<Option<CommandRecord>, DbError> {
    let found =
        db.collection::<Document>(COMMANDS).find_one(doc! { "_id": command_key(command) }).await?;
    Ok(found.map(|document| record_of(&Cells::new(COMMANDS, document))).transpose()?)
}

/// The record a document holds.
pub(in crate::mongo) fn record_of(cells: &Cells) -> Result<CommandRecord, StoreError> {
    Ok(CommandRecord {
        command_id: CommandId(cells.array("_id")?),
        request_hash: cells.array("request_hash")?,
        owner: UserId(cells.id("owner")?),
        subject: cells.opt_id("subject")?,
        event_ids: cells.ids("event_ids")?.into_iter().map(EventId).collect(),
        position: cells.u64("position")?,
        stream: cells.stream("stream")?,
        version: cells.u64("version")?,
        open: cells.bool("open")?,
        expires_at: cells.time("expires_at")?,
    })
}

/// The number a kind of claim is stored as.
const fn claim_kind(kind: ClaimKind) -> i64 {
    match kind {
        ClaimKind::Username => 1,
        ClaimKind::Email => 2,
        ClaimKind::Secret => 3,
        ClaimKind::Identity => 4,
    }
}

/// The kind of claim that is stored as this number.
pub(super) const fn claim_kind_of(number: u64) -> Option<ClaimKind> {
    match number {
        1 => Some(ClaimKind::Username),
        2 => Some(ClaimKind::Email),
        3 => Some(ClaimKind::Secret),
        4 => Some(ClaimKind::Identity),
        _ => None,
    }
}

/// `_id` of a claim.
pub(in crate::mongo) fn claim_key(kind: ClaimKind, hash: &[u8; 32]) -> Bson {
    doc! { "k": claim_kind(kind), "h": binary(hash.to_vec()) }.into()
}

/// The claim a document holds.
pub(in crate::mongo) fn claim_of(document: Document) -> Result<(UserId, Uuid), StoreError> {
    let cells = Cells::new(CLAIMS, document);
    Ok((UserId(cells.id("holder")?), cells.id("subject")?))
}

/// The holder of a unique value, and its subject.
pub(in crate::mongo) async fn claim(
    db: &Database,
    kind: ClaimKind,
    hash: [u8; 32],
) -> Result<Option<(UserId, Uuid)>, DbError> {
    let found =
        db.collection::<Document>(CLAIMS).find_one(doc! { "_id": claim_key(kind, &hash) }).await?;
    Ok(found.map(claim_of).transpose()?)
}

/// Deletes closed, expired records; returns their number.
pub(in crate::mongo) async fn forget_records(
    db: &Database,
    now: Timestamp,
) -> Result<u64, DbError> {
    let old = doc! { "open": false, "expires_at": { "$lte": bound(now.0) } };
    Ok(db.collection::<Document>(COMMANDS).delete_many(old).await?.deleted_count)
}

//! The log, its records and claims.

use crate::sqlite::cells::{Cells, bound, limit as sql_limit};
use crate::sqlite::query::{self, DbError};
use claviger_domain::actor::{ActingCredential, Actor, Role, Via};
use claviger_domain::catalogue::Requirement;
use claviger_domain::event::{Envelope, EnvelopeVersion};

use claviger_domain::id::{CommandId, CorrelationId, EventId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    ClaimKind, CommandRecord, Direction, HistoryFilter, StoreError, StoredEvent,
};
use claviger_proof::Frontier;
use rusqlite::{Connection, ToSql, params};
use uuid::Uuid;

pub(super) const EVENT: &str = "position, id, stream, version, owner, kind, schema, at, actor_user, actor_role, actor_via, command_id, \
                     correlation_id, causation_id, subject, facts, leaf, boxes, content, envelope, credential_kind, credential_id, signature";

/// The head as the writer keeps it.
pub(in crate::sqlite) fn head(connection: &Connection) -> Result<(Frontier, Timestamp), DbError> {
    let sql = "SELECT position, at, frontier FROM head WHERE id = 1";
    let head = query::row(connection, "head", sql, [], |cells| {
        let (position, at, roots) = (cells.u64()?, cells.time()?, cells.bytes()?);
        let frontier = Frontier::from_bytes(position, roots).ok_or_else(|| cells.corrupt())?;
        Ok((frontier, at))
    })?;
    Ok(head.ok_or_else(|| StoreError::Corrupt("table head has no row".to_owned()))?)
}

/// Position of the last stored event, read without the head.
pub(in crate::sqlite) fn last_position(connection: &Connection) -> Result<u64, DbError> {
    query::count(connection, "events", "SELECT ifnull(max(position), 0) FROM events", [])
}

/// The time of the event at a position, which begins with the log at 0.
pub(in crate::sqlite) fn time_of(
    connection: &Connection,
    position: u64,
) -> Result<Timestamp, DbError> {
    let sql = "SELECT position, at FROM events WHERE position = ?1";
    let found = query::row(connection, "events", sql, [bound(position)], |cells| {
        cells.u64()?;
        cells.time()
    })?;
    Ok(found.unwrap_or_default())
}

/// Events after a position. A missing one is an error, at the end of the log too, which the head
/// gives.
pub(in crate::sqlite) fn events_after(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>, DbError> {
    let sql = format!("SELECT {EVENT} FROM events WHERE position > ?1 ORDER BY position LIMIT ?2");
    let found = events(connection, &sql, &[&bound(after), &sql_limit(limit)])?;
    let mut last = after;
    for event in &found {
        let expected = last.saturating_add(1);
        if event.envelope.position != expected {
            return Err(StoreError::Gap { expected }.into());
        }
        last = expected;
    }
    if found.len() < limit && last < head(connection)?.0.size() {
        return Err(StoreError::Gap { expected: last.saturating_add(1) }.into());
    }
    Ok(found)
}

/// Events of a stream after a version.
pub(in crate::sqlite) fn stream_after(
    connection: &Connection,
    stream: StreamName,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>, DbError> {
    let sql = format!(
        "SELECT {EVENT} FROM events WHERE stream = ?1 AND version > ?2 ORDER BY version LIMIT ?3"
    );
    let found = events(connection, &sql, &[&stream.to_string(), &bound(after), &sql_limit(limit)])?;
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
pub(in crate::sqlite) fn event(
    connection: &Connection,
    id: EventId,
) -> Result<Option<StoredEvent>, DbError> {
    let sql = format!("SELECT {EVENT} FROM events WHERE id = ?1");
    Ok(events(connection, &sql, &[id.0.as_bytes()])?.pop())
}

/// An owner's events that pass the filter.
pub(in crate::sqlite) fn history(
    connection: &Connection,
    owner: UserId,
    filter: &HistoryFilter,
    direction: Direction,
    limit: usize,
) -> Result<Vec<StoredEvent>, DbError> {
    let order = match direction {
        Direction::Backward => "DESC",
        Direction::Forward => "ASC",
    };
    let bounds = Bounds::of(owner, filter);
    let (whose, kinds) = (bounds.whose(), bounds.of_kinds());
    let sql = format!(
        "SELECT {EVENT} FROM {whose} AND {kinds} AND position > ?4 AND position < ?5 ORDER BY position {order} LIMIT ?6"
    );
    let limit = sql_limit(limit);
    let [owner, subject, kinds, above, below] = bounds.params();
    events(connection, &sql, &[owner, subject, kinds, above, below, &limit])
}

/// A history filter as parameters 1 to 5 and a condition. Unset filters are absent from the
/// condition, so that indexes are used.
struct Bounds {
    owner: Uuid,
    subject: Option<[u8; 16]>,
    kinds: Option<String>,
    above: i64,
    below: i64,
}

impl Bounds {
    fn of(owner: UserId, filter: &HistoryFilter) -> Self {
        Self {
            owner: owner.0,
            subject: filter.subject.map(Uuid::into_bytes),
            kinds: (!filter.kinds.is_empty())
                .then(|| serde_json::Value::from(filter.kinds.clone()).to_string()),
            above: bound(filter.above.unwrap_or(0)),
            below: bound(filter.below.unwrap_or(u64::MAX)),
        }
    }

    /// The index is named: for a subject SQLite would take the owner's, and read every event of
    /// the owner to find those of one key or run.
    fn whose(&self) -> &'static str {
        if self.subject.is_some() {
            "events INDEXED BY events_by_subject WHERE owner = ?1 AND subject = ?2"
        } else {
            "events INDEXED BY events_by_owner WHERE owner = ?1 AND ?2 IS NULL"
        }
    }

    fn of_kinds(&self) -> &'static str {
        if self.kinds.is_some() {
            "kind IN (SELECT value FROM json_each(?3))"
        } else {
            "?3 IS NULL"
        }
    }

    fn params(&self) -> [&dyn ToSql; 5] {
        [self.owner.as_bytes(), &self.subject, &self.kinds, &self.above, &self.below]
    }
}

fn events(
    connection: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
) -> Result<Vec<StoredEvent>, DbError> {
    let found = query::rows(connection, "events", sql, params, stored_event)?;
    found
        .into_iter()
        .map(|(mut event, boxes)| {
            if boxes > 1 {
                event.content = parts(connection, event.envelope.position, boxes)?;
            }
            Ok(event)
        })
        .collect()
}

pub(super) fn parts(
    connection: &Connection,
    position: u64,
    boxes: u64,
) -> Result<Vec<Vec<u8>>, DbError> {
    let sql = "SELECT part, box FROM parts WHERE position = ?1 ORDER BY part";
    let corrupt = || StoreError::Corrupt(format!("table parts, position {position}"));
    let found = query::rows(connection, "parts", sql, [bound(position)], |cells| {
        Ok((cells.u64()?, cells.bytes()?.to_vec()))
    })?;
    let in_order = found.iter().zip(0_u64..).all(|((part, _), expected)| *part == expected);
    if !in_order || u64::try_from(found.len()) != Ok(boxes) {
        return Err(corrupt().into());
    }
    Ok(found.into_iter().map(|(_, sealed)| sealed).collect())
}

/// The event of a row, and its number of boxes. Several boxes are not stored in the row.
pub(super) fn stored_event(cells: &mut Cells<'_, '_>) -> Result<(StoredEvent, u64), StoreError> {
    let position = cells.u64()?;
    let id = EventId(cells.id()?);
    let (stream, version) = (cells.stream()?, cells.u64()?);
    let owner = cells.opt_id()?.map(UserId);
    let (kind, schema, at) = (cells.text()?.to_owned(), cells.u32()?, cells.time()?);
    let actor = actor(cells)?;
    let mut envelope = Envelope {
        envelope_version: EnvelopeVersion::V1,
        position,
        stream,
        owner,
        version,
        id,
        kind,
        schema,
        at,
        actor,
        command_id: CommandId(cells.array()?),
        correlation_id: CorrelationId(cells.id()?),
        causation_id: cells.opt_id()?.map(EventId),
    };
    let subject = cells.opt_id()?;
    let facts = cells.bytes()?.to_vec();
    let leaf = cells.array()?;
    let boxes = cells.u64()?;
    let content = cells.opt_bytes()?;
    if content.is_some() != (boxes == 1) {
        return Err(cells.corrupt());
    }
    let content = content.map(<[u8]>::to_vec).into_iter().collect();
    (envelope.envelope_version, envelope.actor) = recorded(cells, envelope.actor)?;
    let signature = cells.opt_array()?;
    Ok((StoredEvent { envelope, facts, content, subject, leaf, signature }, boxes))
}

fn actor(cells: &mut Cells<'_, '_>) -> Result<Actor, StoreError> {
    let user = cells.opt_id()?.map(UserId);
    let role = match cells.opt_text()? {
        None => None,
        Some(word) => Some(Role::parse(word).ok_or_else(|| cells.corrupt())?),
    };
    let via = cells.text()?;
    let via = Via::parse(via).ok_or_else(|| cells.corrupt())?;
    Ok(Actor { user, role, via, credential: None })
}

/// The envelope's version, and the actor with its credential. What the version can't have recorded
/// makes the row corrupt.
fn recorded(
    cells: &mut Cells<'_, '_>,
    actor: Actor,
) -> Result<(EnvelopeVersion, Actor), StoreError> {
    let version = EnvelopeVersion::of_number(cells.u32()?).ok_or_else(|| cells.corrupt())?;
    let (kind, id) = (cells.opt_text()?, cells.opt_id()?);
    let credential = match kind {
        Some(kind) => Some(ActingCredential::parse(kind, id).ok_or_else(|| cells.corrupt())?),
        None if id.is_some() => return Err(cells.corrupt()),
        None => None,
    };
    let actor = Actor { credential, ..actor };
    if version.record(actor) == Some(actor) { Ok((version, actor)) } else { Err(cells.corrupt()) }
}

/// What a program must be able to read to open this file, with the version of the program that
/// first wrote it.
pub(in crate::sqlite) fn required(
    connection: &Connection,
) -> Result<Vec<(Requirement, String)>, DbError> {
    let sql = "SELECT name, program FROM required ORDER BY name";
    query::rows(connection, "required", sql, [], |cells| {
        Ok((Requirement::stored(cells.text()?), cells.text()?.to_owned()))
    })
}

/// The record of a command.
pub(in crate::sqlite) fn command_record(
    connection: &Connection,
    id: CommandId,
) -> Result<Option<CommandRecord>, DbError> {
    let sql = "SELECT command_id, request_hash, owner, subject, event_ids, position, stream, version, open, expires_at \
               FROM commands WHERE command_id = ?1";
    query::row(connection, "commands", sql, [&id.0], command_row)
}

/// Columns: command id, request hash, owner, subject, event ids, position, stream, version, open,
/// expiry.
pub(super) fn command_row(cells: &mut Cells<'_, '_>) -> Result<CommandRecord, StoreError> {
    Ok(CommandRecord {
        command_id: CommandId(cells.array()?),
        request_hash: cells.array()?,
        owner: UserId(cells.id()?),
        subject: cells.opt_id()?,
        event_ids: event_ids(cells)?,
        position: cells.u64()?,
        stream: cells.stream()?,
        version: cells.u64()?,
        open: cells.u64()? != 0,
        expires_at: cells.time()?,
    })
}

fn event_ids(cells: &mut Cells<'_, '_>) -> Result<Vec<EventId>, StoreError> {
    let (ids, rest) = cells.bytes()?.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(cells.corrupt());
    }
    Ok(ids.iter().map(|id| EventId(Uuid::from_bytes(*id))).collect())
}

/// The number a kind of claim is stored as.
pub(in crate::sqlite) const fn claim_kind(kind: ClaimKind) -> i64 {
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

/// The holder of a unique value, and its subject.
pub(in crate::sqlite) fn claim(
    connection: &Connection,
    kind: ClaimKind,
    hash: &[u8; 32],
) -> Result<Option<(UserId, Uuid)>, DbError> {
    let sql = "SELECT holder, subject FROM claims WHERE kind = ?1 AND hash = ?2";
    query::row(connection, "claims", sql, params![claim_kind(kind), hash], |cells| {
        Ok((UserId(cells.id()?), cells.id()?))
    })
}

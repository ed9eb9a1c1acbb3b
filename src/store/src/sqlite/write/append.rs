//! One append, inside the transaction of its batch.

use super::changes;
use super::outcome::{Stop, stored};
use crate::sqlite::query;
use crate::sqlite::read::{claim, claim_kind, command_record};
use claviger_domain::actor::ActingCredential;
use claviger_domain::catalogue::{Readable, Requirement};
use claviger_domain::event::EnvelopeVersion;

use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, AppendError, Appended, ClaimChange, CommandRecord, Expected, NewEvent, NoClock,
    OtherClock, Placed, RecordChange, Reliance, Signer, Unmet, contradicted, is_after_a_rest,
};
use claviger_proof::{Frontier, leaf_hash};
use rusqlite::{Connection, ErrorCode, params};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

/// The end of the log as the transaction sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    /// The tree; its size is the position.
    pub(super) frontier: Frontier,
    /// Time of the last event.
    pub(super) at: Timestamp,
    /// What readers must be able to read by now.
    pub(super) gate: Gate,
    /// Signs the events.
    pub(super) signer: Signer,
}

/// What may be appended, and what a program must be able to read to open the file. This process is
/// the only one that has the file, so what it reads may be appended; the requirement is committed
/// together with the first event that makes it one.
#[derive(Clone, Debug, Default)]
pub(in crate::sqlite) struct Gate {
    /// What this process reads.
    pub(in crate::sqlite) reads: Arc<Readable>,
    /// What the file already requires.
    pub(in crate::sqlite) required: Arc<BTreeSet<Requirement>>,
    pub(in crate::sqlite) clock: SecondClock,
}

/// Contradicts an append whose time is far ahead.
#[derive(Clone)]
pub(in crate::sqlite) struct SecondClock(pub(in crate::sqlite) Arc<dyn OtherClock>);

impl Default for SecondClock {
    fn default() -> Self {
        Self(Arc::new(NoClock))
    }
}

impl fmt::Debug for SecondClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecondClock")
    }
}

impl SecondClock {
    /// Refuses a time that is far ahead of the last event and of the other clock.
    fn pass(&self, at: Timestamp, head: Timestamp) -> Result<(), Stop> {
        if is_after_a_rest(at, head)
            && let Some(other) = self.0.now()
            && let Some(error) = contradicted(at, other)
        {
            return Err(AppendError::Store(error).into());
        }
        Ok(())
    }
}

impl Gate {
    /// Makes what an append needs a requirement, unless it is one.
    fn pass(&mut self, connection: &Connection, append: &Append) -> Result<(), Stop> {
        if !self.required.contains(&*NEWEST) {
            self.require(connection, NEWEST.clone())?;
        }
        for requirement in append.requirements() {
            self.require(connection, requirement)?;
        }
        Ok(())
    }

    fn require(&mut self, connection: &Connection, requirement: Requirement) -> Result<(), Stop> {
        if !self.reads.has(&requirement) {
            let process = "this process".to_owned();
            return Err(AppendError::NotReadByAll { requirement, process }.into());
        }
        if !self.required.contains(&requirement) {
            let sql = "INSERT OR IGNORE INTO required (name, program) VALUES (?1, ?2)";
            let params = params![requirement.as_str(), env!("CARGO_PKG_VERSION")];
            connection.prepare_cached(sql)?.execute(params)?;
            Arc::make_mut(&mut self.required).insert(requirement);
        }
        Ok(())
    }
}

static NEWEST: LazyLock<Requirement> =
    LazyLock::new(|| Requirement::envelope(EnvelopeVersion::NEWEST));

/// Executes an append. Refusals may leave rows behind: the caller rolls its savepoint back, and
/// `end` with it.
pub(super) fn execute(
    connection: &Connection,
    append: &Append,
    end: &mut End,
) -> Result<Appended, Stop> {
    let Some(first) = append.events.first() else {
        return Err(AppendError::Malformed("no events").into());
    };
    // Checked before the version: the retry of a committed command finds a longer stream, which is
    // no conflict.
    if let Some(RecordChange::Insert { .. }) = append.record
        && let Some(record) = command_record(connection, append.command_id)?
    {
        return Err(AppendError::Repeated(Box::new(record)).into());
    }
    let before = stream_version(connection, append)?;
    check_reliance(connection, &append.relies_on)?;
    end.gate.pass(connection, append)?;
    end.gate.clock.pass(append.at, end.at)?;
    end.at = end.at.max(append.at);
    let mut last =
        Placed { id: first.id, position: end.frontier.size(), version: before, at: end.at };
    let mut placed = Vec::with_capacity(append.events.len());
    for event in &append.events {
        last = Placed {
            id: event.id,
            position: last.position + 1,
            version: last.version + 1,
            at: end.at,
        };
        insert_event(connection, append, event, last, end)?;
        placed.push(last);
    }
    for row in &append.rows {
        changes::apply(connection, row)?;
    }
    if let Some(inline) = &append.inline {
        for row in inline.rows(&placed)? {
            changes::apply(connection, &row)?;
        }
    }
    for change in &append.claims {
        change_claim(connection, change)?;
    }
    if let Some(change) = &append.record {
        change_record(connection, append, change, last)?;
    }
    Ok(Appended { placed, position: last.position, version: last.version })
}

/// The stream's version, if it is the expected one and the owner is the same.
fn stream_version(connection: &Connection, append: &Append) -> Result<u64, Stop> {
    let found = stream_end(connection, append.stream)?;
    let expected = match append.expected {
        Expected::NoStream => 0,
        Expected::Exact(version) => version,
    };
    let actual = found.map_or(0, |(version, _)| version);
    if actual != expected {
        return Err(AppendError::Conflict { actual }.into());
    }
    if found.is_some_and(|(_, owner)| owner != append.owner) {
        return Err(AppendError::Malformed("the stream has another owner").into());
    }
    Ok(actual)
}

/// Version and owner of a stream's last event.
fn stream_end(
    connection: &Connection,
    stream: StreamName,
) -> Result<Option<(u64, Option<UserId>)>, Stop> {
    let sql = "SELECT version, owner FROM events WHERE stream = ?1 ORDER BY version DESC LIMIT 1";
    Ok(query::row(connection, "events", sql, [stream.to_string()], |cells| {
        Ok((cells.u64()?, cells.opt_id()?.map(UserId)))
    })?)
}

/// Refuses an append whose decision relied on what no longer holds. Appends of the batch before
/// this one count.
fn check_reliance(connection: &Connection, reliance: &Reliance) -> Result<(), Stop> {
    for (stream, version) in &reliance.unchanged {
        let actual = stream_end(connection, *stream)?.map_or(0, |(version, _)| version);
        if actual != *version {
            return Err(AppendError::Unmet(Unmet::Changed { stream: *stream, actual }).into());
        }
    }
    if let Some(fewer) = reliance.fewer {
        let sql = "SELECT count(*) FROM views WHERE view = ?1 AND owner = ?2";
        let params = params![fewer.view, fewer.owner.0.as_bytes()];
        let rows = query::count(connection, "views", sql, params)?;
        if rows >= fewer.than {
            return Err(AppendError::Unmet(Unmet::Full { view: fewer.view, rows }).into());
        }
    }
    Ok(())
}

fn insert_event(
    connection: &Connection,
    append: &Append,
    event: &NewEvent,
    placed: Placed,
    end: &mut End,
) -> Result<(), Stop> {
    let envelope = append.envelope(event, placed, EnvelopeVersion::NEWEST)?;
    let leaf = leaf_hash(&envelope, &event.facts, &event.content);
    let credential = envelope.actor.credential;
    // Several boxes go into rows of their own: a row of many megabytes would have to be read whole
    // for its facts.
    let (inline_box, parts) = match event.content.as_slice() {
        [only] => (Some(only), &[][..]),
        parts => (None, parts),
    };
    let sql = "INSERT INTO events (position, id, stream, version, owner, kind, schema, at, actor_user, actor_role, actor_via, \
               command_id, correlation_id, causation_id, subject, facts, boxes, content, leaf, envelope, credential_kind, credential_id, \
               signature) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)";
    let params = params![
        stored(envelope.position)?,
        envelope.id.0.as_bytes(),
        envelope.stream.to_string(),
        stored(envelope.version)?,
        envelope.owner.map(|id| id.0.into_bytes()),
        envelope.kind,
        envelope.schema,
        stored(envelope.at.0)?,
        envelope.actor.user.map(|id| id.0.into_bytes()),
        envelope.actor.role.map(claviger_domain::actor::Role::as_str),
        envelope.actor.via.as_str(),
        envelope.command_id.0,
        envelope.correlation_id.0.as_bytes(),
        envelope.causation_id.map(|id| id.0.into_bytes()),
        event.subject.map(uuid::Uuid::into_bytes),
        event.facts,
        stored(event.content.len() as u64)?,
        inline_box,
        leaf,
        envelope.envelope_version.number(),
        credential.map(ActingCredential::kind),
        credential.and_then(ActingCredential::id).map(uuid::Uuid::into_bytes),
        end.signer.sign(&leaf, || end.frontier.root()),
    ];
    connection.prepare_cached(sql)?.execute(params).map_err(refuse_known_id)?;
    for (part, sealed) in (0_i64..).zip(parts) {
        let sql = "INSERT INTO parts (position, part, box) VALUES (?1, ?2, ?3)";
        connection.prepare_cached(sql)?.execute(params![stored(placed.position)?, part, sealed])?;
    }
    end.frontier.push(leaf);
    Ok(())
}

/// Position and version were looked up in this transaction, so only the event's id can already
/// exist.
fn refuse_known_id(error: rusqlite::Error) -> Stop {
    match error.sqlite_error() {
        Some(found) if found.code == ErrorCode::ConstraintViolation => {
            AppendError::Malformed("an event id exists already").into()
        }
        Some(_) | None => Stop::Unexpected(error),
    }
}

fn change_claim(connection: &Connection, change: &ClaimChange) -> Result<(), Stop> {
    match change {
        ClaimChange::Release { kind, hash } => {
            let sql = "DELETE FROM claims WHERE kind = ?1 AND hash = ?2";
            connection.prepare_cached(sql)?.execute(params![claim_kind(*kind), hash])?;
        }
        ClaimChange::Take { kind, hash, holder, subject } => {
            match claim(connection, *kind, hash)? {
                Some((by, whose)) if by == *holder && whose == *subject => {}
                Some((holder, subject)) => {
                    return Err(AppendError::ClaimTaken { kind: *kind, holder, subject }.into());
                }
                None => {
                    let sql =
                        "INSERT INTO claims (kind, hash, holder, subject) VALUES (?1, ?2, ?3, ?4)";
                    let params =
                        params![claim_kind(*kind), hash, holder.0.as_bytes(), subject.as_bytes()];
                    connection.prepare_cached(sql)?.execute(params)?;
                }
            }
        }
    }
    Ok(())
}

fn change_record(
    connection: &Connection,
    append: &Append,
    change: &RecordChange,
    last: Placed,
) -> Result<(), Stop> {
    let record = match change {
        RecordChange::Insert { request_hash, subject, open, expires_at } => {
            // The command belongs to the actor; without an actor (a registration), to the stream's
            // owner.
            let owner = append
                .actor
                .user
                .or(append.owner)
                .ok_or(AppendError::Malformed("a command record without a user"))?;
            CommandRecord {
                command_id: append.command_id,
                request_hash: *request_hash,
                owner,
                subject: *subject,
                event_ids: Vec::new(),
                position: 0,
                stream: append.stream,
                version: 0,
                open: *open,
                expires_at: *expires_at,
            }
        }
        RecordChange::Close { command_id } => match command_record(connection, *command_id)? {
            Some(record) if record.open => CommandRecord { open: false, ..record },
            Some(_) | None => return Ok(()),
        },
    };
    put_record(connection, append, &record, last)
}

/// Writes a record with this append's events added to it.
fn put_record(
    connection: &Connection,
    append: &Append,
    record: &CommandRecord,
    last: Placed,
) -> Result<(), Stop> {
    let known = record.event_ids.iter().copied();
    let event_ids: Vec<u8> = known
        .chain(append.events.iter().map(|event| event.id))
        .flat_map(|id| id.0.into_bytes())
        .collect();
    let sql = "INSERT OR REPLACE INTO commands (command_id, request_hash, owner, subject, event_ids, position, stream, version, \
               open, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let params = params![
        record.command_id.0,
        record.request_hash,
        record.owner.0.as_bytes(),
        record.subject.map(uuid::Uuid::into_bytes),
        event_ids,
        stored(last.position)?,
        append.stream.to_string(),
        stored(last.version)?,
        record.open,
        stored(record.expires_at.0)?,
    ];
    connection.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

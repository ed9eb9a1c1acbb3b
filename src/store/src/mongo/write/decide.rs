//! Which appends of a batch are accepted, and what they write: a function of the data read, so that
//! a refusal costs no statement and aborts nothing.

use super::changes::{self, Change, opt_id, stored};
use super::counted::Move;
use super::keys::Keys;
use super::known::Known;
use super::plan::Plan;
use crate::mongo::read::{claim_key, command_key, event_key, part_id};
use crate::mongo::schema::{CLAIMS, COMMANDS, binary, id};
use claviger_domain::actor::ActingCredential;
use claviger_domain::event::EnvelopeVersion;

use claviger_domain::id::{EventId, UserId};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, AppendError, Appended, ClaimChange, ClaimKind, CommandRecord, Expected, NewEvent,
    Placed, RecordChange, Reliance, Signer, Unmet,
};
use claviger_proof::{Frontier, leaf_hash};
use mongodb::bson::{Bson, Document, doc};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// The end of the log as the transaction sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The tree; its size is the position.
    pub(super) frontier: Frontier,
    /// Time of the last event.
    pub(super) at: Timestamp,
}

/// A batch, built append by append.
pub(super) struct Draft {
    known: Known,
    /// The end of the log after the accepted appends.
    pub(super) end: End,
    pub(super) plan: Plan,
    /// The version of the envelopes.
    version: EnvelopeVersion,
    /// Signs the events.
    signer: Signer,
}

/// The holder of a value after an append; `None` for nobody.
type ClaimsMade = HashMap<(ClaimKind, [u8; 32]), Option<(UserId, Uuid)>>;

/// What one append writes, held back until nothing can refuse it.
struct Pieces {
    end: End,
    placed: Vec<Placed>,
    events: Vec<Document>,
    parts: Vec<Document>,
    changes: Vec<Change>,
    claims: ClaimsMade,
    record: Option<CommandRecord>,
    keys: Keys,
    moves: Vec<Move>,
}

impl Draft {
    /// A batch on top of `end`.
    pub(super) fn new(known: Known, end: End, version: EnvelopeVersion, signer: Signer) -> Self {
        Self { known, end, plan: Plan::default(), version, signer }
    }

    /// Decides an append. A refusal leaves the draft as it was.
    pub(super) fn add(&mut self, append: &Append) -> Result<Appended, AppendError> {
        let (pieces, last) = self.decide(append)?;
        let Pieces { end, placed, events, parts, changes, claims, record, keys, moves } = pieces;
        let stream = super::known::StreamEnd { version: last.version, owner: append.owner };
        self.end = end;
        self.known.keys = keys;
        self.known.counted.apply(moves);
        self.plan.insert(events, parts);
        for change in changes {
            self.plan.change(change);
        }
        self.known.streams.insert(append.stream, stream);
        self.known.event_ids.extend(placed.iter().map(|placed| placed.id));
        for (key, holder) in claims {
            match holder {
                Some(holder) => drop(self.known.claims.insert(key, holder)),
                None => drop(self.known.claims.remove(&key)),
            }
        }
        if let Some(record) = record {
            self.known.records.insert(record.command_id, record);
        }
        Ok(Appended { placed, position: last.position, version: last.version })
    }

    fn decide(&self, append: &Append) -> Result<(Pieces, Placed), AppendError> {
        let Some(first) = append.events.first() else {
            return Err(AppendError::Malformed("no events"));
        };
        // Checked before the version: the retry of a committed command finds a longer stream, which
        // is no conflict.
        if let Some(RecordChange::Insert { .. }) = append.record
            && let Some(record) = self.known.records.get(&append.command_id)
        {
            return Err(AppendError::Repeated(Box::new(record.clone())));
        }
        let before = self.stream_version(append)?;
        self.check_reliance(&append.relies_on)?;
        self.refuse_known_ids(append)?;
        let mut end = self.end.clone();
        end.at = end.at.max(append.at);
        let mut last =
            Placed { id: first.id, position: end.frontier.size(), version: before, at: end.at };
        let (mut placed, mut events, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for event in &append.events {
            last = Placed {
                id: event.id,
                position: last.position + 1,
                version: last.version + 1,
                at: end.at,
            };
            let (mut document, leaf) = event_document(append, event, (last, self.version))?;
            let signed = self.signer.sign(&leaf, || end.frontier.root());
            document.insert("signature", signed.map(|of| binary(of.to_vec())));
            end.frontier.push(leaf);
            events.push(document);
            parts.extend(part_documents(event, last.position));
            placed.push(last);
        }
        let (mut changes, mut keys) = (Vec::new(), self.known.keys.clone());
        let mut moves = Vec::new();
        let inline = append
            .inline
            .as_ref()
            .map(|inline| inline.rows(&placed))
            .transpose()?
            .unwrap_or_default();
        for row in append.rows.iter().chain(&inline) {
            keys.pass(row)?;
            moves.extend(Move::of(row));
            changes.extend(changes::of(row, last.position)?);
        }
        let claims = self.claims(append, &mut changes)?;
        let record = self.record(append, last)?;
        if let Some(record) = &record {
            let is_new = matches!(append.record, Some(RecordChange::Insert { .. }));
            changes.push(put_record(record, is_new)?);
        }
        Ok((Pieces { end, placed, events, parts, changes, claims, record, keys, moves }, last))
    }

    /// The stream's version, if it is the expected one and the owner is the same.
    fn stream_version(&self, append: &Append) -> Result<u64, AppendError> {
        let end = self.known.streams.get(&append.stream);
        let actual = end.map_or(0, |end| end.version);
        let expected = match append.expected {
            Expected::NoStream => 0,
            Expected::Exact(version) => version,
        };
        if actual != expected {
            return Err(AppendError::Conflict { actual });
        }
        if end.is_some_and(|end| end.version > 0 && end.owner != append.owner) {
            return Err(AppendError::Malformed("the stream has another owner"));
        }
        Ok(actual)
    }

    /// Refuses an append whose decision relied on what no longer holds. Appends of the batch
    /// before this one count.
    fn check_reliance(&self, reliance: &Reliance) -> Result<(), AppendError> {
        for (stream, version) in &reliance.unchanged {
            let actual = self.known.streams.get(stream).map_or(0, |end| end.version);
            if actual != *version {
                return Err(AppendError::Unmet(Unmet::Changed { stream: *stream, actual }));
            }
        }
        if let Some(fewer) = reliance.fewer {
            let rows = self.known.counted.rows(fewer);
            if rows >= fewer.than {
                return Err(AppendError::Unmet(Unmet::Full { view: fewer.view, rows }));
            }
        }
        Ok(())
    }

    fn refuse_known_ids(&self, append: &Append) -> Result<(), AppendError> {
        let mut own: HashSet<EventId> = HashSet::new();
        let is_new =
            |event: &NewEvent| !self.known.event_ids.contains(&event.id) && own.insert(event.id);
        if append.events.iter().all(is_new) {
            Ok(())
        } else {
            Err(AppendError::Malformed("an event id exists already"))
        }
    }

    /// Claims in the order given, on top of those made by earlier appends of the batch.
    fn claims(
        &self,
        append: &Append,
        changes: &mut Vec<Change>,
    ) -> Result<ClaimsMade, AppendError> {
        let mut own: ClaimsMade = HashMap::new();
        for claim in &append.claims {
            match claim {
                ClaimChange::Release { kind, hash } => {
                    own.insert((*kind, *hash), None);
                    changes.push(Change::Delete { collection: CLAIMS, id: claim_key(*kind, hash) });
                }
                ClaimChange::Take { kind, hash, holder, subject } => {
                    let key = (*kind, *hash);
                    let held = own
                        .get(&key)
                        .copied()
                        .unwrap_or_else(|| self.known.claims.get(&key).copied());
                    match held {
                        Some((by, whose)) if by == *holder && whose == *subject => continue,
                        Some((holder, subject)) => {
                            return Err(AppendError::ClaimTaken { kind: *kind, holder, subject });
                        }
                        None => {}
                    }
                    own.insert(key, Some((*holder, *subject)));
                    let id = claim_key(*kind, hash);
                    let document = doc! { "_id": id.clone(), "holder": self::id(holder.0), "subject": self::id(*subject) };
                    changes.push(Change::Put {
                        collection: CLAIMS,
                        id,
                        owner: None,
                        document,
                        is_new: true,
                    });
                }
            }
        }
        Ok(own)
    }

    fn record(&self, append: &Append, last: Placed) -> Result<Option<CommandRecord>, AppendError> {
        let record = match &append.record {
            None => return Ok(None),
            Some(RecordChange::Insert { request_hash, subject, open, expires_at }) => {
                // The command belongs to the actor; without an actor (a registration), to the
                // stream's owner.
                let owner = append.actor.user.or(append.owner);
                CommandRecord {
                    command_id: append.command_id,
                    request_hash: *request_hash,
                    owner: owner
                        .ok_or(AppendError::Malformed("a command record without a user"))?,
                    subject: *subject,
                    event_ids: Vec::new(),
                    position: 0,
                    stream: append.stream,
                    version: 0,
                    open: *open,
                    expires_at: *expires_at,
                }
            }
            Some(RecordChange::Close { command_id }) => match self.known.records.get(command_id) {
                Some(record) if record.open => CommandRecord { open: false, ..record.clone() },
                Some(_) | None => return Ok(None),
            },
        };
        let event_ids = record
            .event_ids
            .iter()
            .copied()
            .chain(append.events.iter().map(|event| event.id))
            .collect();
        let (position, version) = (last.position, last.version);
        Ok(Some(CommandRecord { event_ids, position, version, stream: append.stream, ..record }))
    }
}

fn event_document(
    append: &Append,
    event: &NewEvent,
    (placed, version): (Placed, EnvelopeVersion),
) -> Result<(Document, [u8; 32]), AppendError> {
    let envelope = append.envelope(event, placed, version)?;
    let leaf = leaf_hash(&envelope, &event.facts, &event.content);
    let content = match event.content.as_slice() {
        [only] => binary(only.clone()),
        _ => Bson::Null,
    };
    let mut document = doc! {
        "_id": event_key(append.stream, placed.version),
        "position": stored(placed.position)?,
        "id": id(event.id.0),
        "owner": opt_id(append.owner.map(|owner| owner.0)),
        "kind": envelope.kind,
        "schema": i64::from(event.schema),
        "at": stored(placed.at.0)?,
        "actor_user": opt_id(append.actor.user.map(|user| user.0)),
        "actor_role": append.actor.role.map(claviger_domain::actor::Role::as_str),
        "actor_via": append.actor.via.as_str(),
        "command_id": binary(append.command_id.0.to_vec()),
        "correlation_id": id(append.correlation_id.0),
        "causation_id": opt_id(append.causation_id.map(|cause| cause.0)),
        "subject": opt_id(event.subject),
        "facts": binary(event.facts.clone()),
        "boxes": stored(event.content.len() as u64)?,
        "content": content,
        "leaf": binary(leaf.to_vec()),
    };
    if version > EnvelopeVersion::V1 {
        let credential = envelope.actor.credential;
        document.insert("envelope", i64::from(version.number()));
        document.insert("actor_credential", credential.map(ActingCredential::kind));
        document.insert("actor_credential_id", opt_id(credential.and_then(ActingCredential::id)));
    }
    Ok((document, leaf))
}

/// Several boxes go into documents of their own: otherwise a document of many megabytes would have
/// to be read whole for its facts.
fn part_documents(event: &NewEvent, position: u64) -> Vec<Document> {
    match event.content.as_slice() {
        [_] => Vec::new(),
        parts => (0..)
            .zip(parts)
            .map(|(n, sealed)| doc! { "_id": part_id(position, n), "box": binary(sealed.clone()) })
            .collect(),
    }
}

fn put_record(record: &CommandRecord, is_new: bool) -> Result<Change, AppendError> {
    let event_ids: Vec<Bson> = record.event_ids.iter().map(|event| id(event.0)).collect();
    let document = doc! {
        "_id": command_key(record.command_id),
        "request_hash": binary(record.request_hash.to_vec()),
        "owner": id(record.owner.0),
        "subject": opt_id(record.subject),
        "event_ids": event_ids,
        "position": stored(record.position)?,
        "stream": record.stream.to_string(),
        "version": stored(record.version)?,
        "open": record.open,
        "expires_at": stored(record.expires_at.0)?,
    };
    Ok(Change::Put {
        collection: COMMANDS,
        id: command_key(record.command_id),
        owner: None,
        document,
        is_new,
    })
}

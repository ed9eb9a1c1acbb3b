//! Events to be appended, and events as they are stored.

use super::environment::{NOW, fresh};
use claviger_domain::actor::{Actor, Role, Via};
use claviger_domain::event::{Envelope, EnvelopeVersion, Payload};
use claviger_domain::id::{CommandId, CorrelationId, EventId, UserId};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{Append, Expected, NewEvent, Reliance, StoredEvent};
use uuid::Uuid;

/// A part of the program, or the operator.
pub(crate) const fn actor(via: Via) -> Actor {
    Actor { user: None, role: None, via, credential: None }
}

/// A user who is signed in.
pub(crate) const fn user_actor(user: UserId) -> Actor {
    Actor { user: Some(user), role: Some(Role::User), via: Via::Graphql, credential: None }
}

/// Whose the stream is by its name.
pub(crate) fn owner_of(stream: StreamName) -> Option<UserId> {
    match stream {
        StreamName::KeyRing(owner) | StreamName::Account(owner) => Some(owner),
        StreamName::Run(_) | StreamName::RunControl(_) | StreamName::System => None,
    }
}

/// An event without content, under an id of its own.
pub(crate) fn new_event<E: Payload>(event: &E) -> NewEvent {
    let parts = event.parts().unwrap();
    NewEvent {
        id: EventId(fresh()),
        kind: parts.kind.to_owned(),
        schema: parts.schema,
        facts: parts.facts,
        content: Vec::new(),
        subject: parts.subject,
    }
}

/// An event of any type, about anything.
pub(crate) fn named_event(kind: &str, facts: &[u8], subject: Option<Uuid>) -> NewEvent {
    let (kind, facts) = (kind.to_owned(), facts.to_vec());
    NewEvent { id: EventId(fresh()), kind, schema: 1, facts, content: Vec::new(), subject }
}

/// An append to a stream that stands at `version`, at [`NOW`], by the program itself. A test sets
/// other fields by `Append { …, ..append_to(…) }`.
pub(crate) fn append_to(stream: StreamName, version: u64, events: Vec<NewEvent>) -> Append {
    Append {
        stream,
        owner: owner_of(stream),
        expected: if version == 0 { Expected::NoStream } else { Expected::Exact(version) },
        relies_on: Reliance::default(),
        events,
        at: NOW,
        actor: Actor::SYSTEM,
        command_id: CommandId(fresh().into_bytes()),
        correlation_id: CorrelationId(fresh()),
        causation_id: None,
        rows: Vec::new(),
        claims: Vec::new(),
        inline: None,
        record: None,
    }
}

/// An event of a stream as it is stored, with the position for its version.
pub(crate) fn stored(
    stream: StreamName,
    position: u64,
    kind: &str,
    facts: &[u8],
    subject: Option<Uuid>,
) -> StoredEvent {
    let envelope = Envelope {
        envelope_version: EnvelopeVersion::V2,
        position,
        stream,
        owner: owner_of(stream),
        version: position,
        id: EventId(Uuid::from_u128(u128::from(position))),
        kind: kind.to_owned(),
        schema: 1,
        at: NOW.plus_ms(position),
        actor: Actor::SYSTEM,
        command_id: CommandId([1; 16]),
        correlation_id: CorrelationId(Uuid::from_u128(1)),
        causation_id: None,
    };
    StoredEvent {
        envelope,
        facts: facts.to_vec(),
        content: Vec::new(),
        subject,
        leaf: [0; 32],
        signature: None,
    }
}

/// The append that wrote an event, if it wrote nothing else.
pub(crate) fn append_of(stored: StoredEvent) -> Append {
    let StoredEvent { envelope, facts, content, subject, .. } = stored;
    let (id, kind, schema) = (envelope.id, envelope.kind, envelope.schema);
    let event = NewEvent { id, kind, schema, facts, content, subject };
    Append {
        owner: envelope.owner,
        at: envelope.at,
        actor: envelope.actor,
        command_id: envelope.command_id,
        correlation_id: envelope.correlation_id,
        causation_id: envelope.causation_id,
        ..append_to(envelope.stream, envelope.version - 1, vec![event])
    }
}

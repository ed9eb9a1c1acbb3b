//! Events of key rings, as short as they can be said.

use claviger::system::environment::{Ids, SystemIds};
use claviger_domain::actor::{Actor, Via};
use claviger_domain::event::{Envelope, EnvelopeVersion, Payload};
use claviger_domain::id::{CommandId, CorrelationId, EventId, Fingerprint, KeyId, TestId, UserId};
use claviger_domain::key_ring::{Added, KeyOnly, KeyRingEvent, Tested};
use claviger_domain::key_test::{KeyTestLevel, KeyTestStatus, KeyVerdict, Verdict};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{Append, Expected, NewEvent, StoredEvent};
use uuid::Uuid;

/// 2026-11-23T15:00:00Z.
pub(super) const NOW: Timestamp = Timestamp(1_795_446_000_000);

/// An id that nothing has.
pub(super) fn fresh() -> Uuid {
    SystemIds.next()
}

pub(super) fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(0x1_0000 + n))
}

pub(super) fn key(n: u128) -> KeyId {
    KeyId(Uuid::from_u128(0x2_0000 + n))
}

pub(super) fn added(n: u128) -> KeyRingEvent {
    let facts = Added {
        key: key(n),
        fingerprint: Fingerprint([7; 32]),
        secret_version: 1,
        expires_at: None,
    };
    KeyRingEvent::KeyAdded(facts, None)
}

pub(super) fn deleted(n: u128) -> KeyRingEvent {
    KeyRingEvent::KeyDeleted(KeyOnly { key: key(n) })
}

/// A test that went well.
pub(super) fn good() -> KeyVerdict {
    KeyVerdict {
        status: KeyTestStatus::Success,
        authentic: Verdict::Yes,
        has_credit: Verdict::Yes,
        model_allowed: Verdict::Yes,
        rate_limited_until: None,
        upstream_status: Some(200),
        duration_ms: 5,
    }
}

pub(super) fn tested(n: u128, verdict: KeyVerdict) -> KeyRingEvent {
    let test = TestId(Uuid::from_u128(5));
    KeyRingEvent::KeyTested(
        Tested {
            key: key(n),
            test,
            level: KeyTestLevel::Full,
            model: None,
            secret_version: 1,
            verdict,
        },
        None,
    )
}

/// An event of a stream as it would be stored.
pub(super) fn stored(
    stream: StreamName,
    position: u64,
    kind: &str,
    facts: &[u8],
    subject: Option<Uuid>,
) -> StoredEvent {
    let owner = match stream {
        StreamName::KeyRing(owner) | StreamName::Account(owner) => Some(owner),
        StreamName::Run(_) | StreamName::RunControl(_) | StreamName::System => None,
    };
    let envelope = Envelope {
        envelope_version: EnvelopeVersion::V2,
        position,
        stream,
        owner,
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
    StoredEvent { envelope, facts: facts.to_vec(), content: Vec::new(), subject, leaf: [0; 32] }
}

/// The events of an owner's ring at positions 1, 2, 3 …
pub(super) fn ring(owner: UserId, events: &[KeyRingEvent]) -> Vec<StoredEvent> {
    let event = |(position, event): (u64, &KeyRingEvent)| {
        let parts = event.parts().unwrap();
        stored(StreamName::KeyRing(owner), position, parts.kind, &parts.facts, parts.subject)
    };
    (1..).zip(events).map(event).collect()
}

/// An append of events of a ring that stands at `version`.
pub(super) fn append(owner: UserId, version: u64, events: &[KeyRingEvent]) -> Append {
    let new = |event: &KeyRingEvent| {
        let parts = event.parts().unwrap();
        let (kind, schema, facts, subject) =
            (parts.kind.to_owned(), parts.schema, parts.facts, parts.subject);
        NewEvent { id: EventId(fresh()), kind, schema, facts, content: Vec::new(), subject }
    };
    Append {
        stream: StreamName::KeyRing(owner),
        owner: Some(owner),
        expected: if version == 0 { Expected::NoStream } else { Expected::Exact(version) },
        events: events.iter().map(new).collect(),
        at: NOW,
        actor: Actor { user: Some(owner), role: None, via: Via::Graphql, credential: None },
        command_id: CommandId(fresh().into_bytes()),
        correlation_id: CorrelationId(Uuid::from_u128(1)),
        causation_id: None,
        rows: Vec::new(),
        claims: Vec::new(),
        inline: None,
        record: None,
    }
}

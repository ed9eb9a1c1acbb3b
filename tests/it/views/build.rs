//! Events of key rings, as short as possible.

use crate::harness::events::{append_to, new_event, stored};
use claviger_domain::event::Payload;
use claviger_domain::id::{Fingerprint, KeyId, TestId, UserId};
use claviger_domain::key_ring::{Added, KeyOnly, KeyRingEvent, Tested};
use claviger_domain::key_test::{KeyTestLevel, KeyTestStatus, KeyVerdict, Verdict};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{Append, StoredEvent};
use uuid::Uuid;

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

/// A test that passed.
pub(super) fn passed() -> KeyVerdict {
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
    let events = events.iter().map(new_event).collect();
    append_to(StreamName::KeyRing(owner), version, events)
}

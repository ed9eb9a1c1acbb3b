//! Short builders of events of runs and key rings.

use claviger_domain::actor::Actor;
use claviger_domain::event::{Envelope, EnvelopeVersion, Payload};
use claviger_domain::id::{
    BootId, CommandId, ContextTag, CorrelationId, EventId, Fingerprint, KeyId, RunId, StepId,
    UserId,
};
use claviger_domain::key_ring::{Added, KeyOnly, KeyRingEvent};
use claviger_domain::orchestration::*;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::follower::{Folded, FollowedView, Rows, fold};
use claviger_projections::ports::StoredEvent;
use std::collections::BTreeSet;
use uuid::Uuid;

pub(super) const DAY: u64 = 24 * 3600 * 1000;

/// Noon of a day.
pub(super) const NOON: Timestamp = Timestamp(20_000 * DAY + DAY / 2);

pub(super) fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(0x1_0000 + n))
}

pub(super) fn key(n: u128) -> KeyId {
    KeyId(Uuid::from_u128(0x2_0000 + n))
}

pub(super) fn run(n: u128) -> RunId {
    RunId(Uuid::from_u128(0x3_0000 + n))
}

pub(super) fn boot(n: u128) -> BootId {
    BootId(Uuid::from_u128(0x4_0000 + n))
}

/// A user's key, or the operator's credential if there is none.
pub(super) fn credential(key: Option<KeyId>) -> Credential {
    let source = if key.is_some() {
        CredentialSource::DefaultKey
    } else {
        CredentialSource::EnvAnthropicApiKey
    };
    Credential { source, key, secret_version: key.map(|_| 1) }
}

pub(super) fn usage(input: u64) -> Usage {
    Usage { input, output: 1, ..Usage::default() }
}

pub(super) fn requested(of: RunId, title: Option<&str>) -> RunEvent {
    let work = Work::Parallel {
        task: "t".to_owned(),
        workers: vec![],
        aggregator: None,
        on_failure: OnFailure::Continue,
    };
    let definition = Definition { agents: Vec::new(), work };
    let facts = Requested {
        run: of,
        pattern: Pattern::Parallel,
        agents: 2,
        model: "m".to_owned(),
        max_tokens: 9,
        max_concurrency: 4,
        max_attempts: 9,
        price_table: "p".to_owned(),
        renderer: 1,
        context_tag: ContextTag([0; 16]),
        named_key: None,
        resolution: Resolution { considered: Vec::new() },
    };
    let asked =
        Asked { title: title.map(str::to_owned), context: "default".to_owned(), definition };
    RunEvent::RunRequested(facts, Some(asked))
}

pub(super) fn claimed(of: RunId, n: u128) -> RunEvent {
    RunEvent::RunClaimed(Claimed { run: of, prev_d: 0, epoch: 1, owner: boot(n), kept: Vec::new() })
}

pub(super) fn completed(of: RunId, credential: Credential, used: u64, cost: Cost) -> RunEvent {
    let facts = Completed {
        run: of,
        prev_d: 0,
        step: StepId(Uuid::nil()),
        attempt: 1,
        credential,
        model: "m".to_owned(),
        pattern: Pattern::Parallel,
        stop_reason: StopReason::EndTurn,
        usage: usage(used),
        cost,
        first_token_ms: None,
        duration_ms: 1,
    };
    RunEvent::StepCompleted(facts, None)
}

pub(super) fn failed(
    of: RunId,
    credential: Credential,
    class: FailureClass,
    next: Next,
) -> RunEvent {
    let facts = AttemptFailed {
        run: of,
        prev_d: 0,
        step: StepId(Uuid::nil()),
        attempt: 1,
        credential,
        model: "m".to_owned(),
        pattern: Pattern::Parallel,
        class,
        status: None,
        partial_bytes: 0,
        usage: usage(7),
        cost: Cost(Some(70)),
        maybe_billed: true,
        next,
        until: None,
    };
    RunEvent::StepAttemptFailed(facts, None)
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

/// An event in its stored form.
pub(super) fn stored(
    owner: UserId,
    stream: StreamName,
    at: Timestamp,
    parts: (&str, &[u8], Option<Uuid>),
) -> StoredEvent {
    let (kind, facts, subject) = parts;
    let envelope = Envelope {
        envelope_version: EnvelopeVersion::V2,
        position: 0,
        stream,
        owner: Some(owner),
        version: 1,
        id: EventId(Uuid::nil()),
        kind: kind.to_owned(),
        schema: 1,
        at,
        actor: Actor::ENGINE,
        command_id: CommandId([1; 16]),
        correlation_id: CorrelationId(Uuid::nil()),
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

pub(super) fn of_run(owner: UserId, of: RunId, at: Timestamp, event: &RunEvent) -> StoredEvent {
    let parts = event.parts().unwrap();
    stored(owner, StreamName::Run(of.0), at, (parts.kind, &parts.facts, parts.subject))
}

pub(super) fn of_ring(owner: UserId, at: Timestamp, event: &KeyRingEvent) -> StoredEvent {
    let parts = event.parts().unwrap();
    stored(owner, StreamName::KeyRing(owner), at, (parts.kind, &parts.facts, parts.subject))
}

pub(super) fn erased(owner: UserId) -> StoredEvent {
    stored(owner, StreamName::Account(owner), NOON, ("AccountErased", b"{}", None))
}

/// Folds events, which get the positions 1, 2, 3 …
pub(super) fn folded(view: &dyn FollowedView, events: Vec<StoredEvent>, before: &Rows) -> Folded {
    let mut events = events;
    for (event, position) in events.iter_mut().zip(1..) {
        event.envelope.position = position;
    }
    fold(view, &events, before, &BTreeSet::new(), &|_| false)
}

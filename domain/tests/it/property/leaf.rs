//! Different events have different leaves: the hashed bytes are distinct for every difference in a
//! field.

use super::settings;
use claviger_domain::actor::{ActingCredential, Actor, Role, Via};
use claviger_domain::event::{Envelope, EnvelopeVersion, Fields};
use claviger_domain::id::{ApiTokenId, CommandId, CorrelationId, EventId, SessionId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

/// An event as it is hashed.
#[derive(Clone, Debug, PartialEq)]
struct Sealed {
    envelope: Envelope,
    facts: Vec<u8>,
    digest: Option<[u8; 32]>,
}

impl Sealed {
    fn body(&self) -> Vec<u8> {
        self.envelope.leaf_body(&self.facts, self.digest.as_ref())
    }
}

/// Few values of each kind: two random events often agree in most fields, which is where a sloppy
/// encoding would collide.
fn number() -> impl Strategy<Value = u64> {
    select(vec![0, 1, 2, 256, u64::from(u32::MAX), u64::MAX])
}

fn id() -> impl Strategy<Value = Uuid> {
    select(vec![0, 1, u128::MAX]).prop_map(Uuid::from_u128)
}

fn stream() -> impl Strategy<Value = StreamName> {
    prop_oneof![
        id().prop_map(|id| StreamName::Account(UserId(id))),
        id().prop_map(|id| StreamName::KeyRing(UserId(id))),
        id().prop_map(StreamName::Run),
        id().prop_map(StreamName::RunControl),
        Just(StreamName::System),
    ]
}

fn credential() -> impl Strategy<Value = ActingCredential> {
    prop_oneof![
        id().prop_map(|id| ActingCredential::Session(SessionId(id))),
        id().prop_map(|id| ActingCredential::ApiToken(ApiTokenId(id))),
        Just(ActingCredential::Operator),
        Just(ActingCredential::Timer),
    ]
}

fn actor() -> impl Strategy<Value = Actor> {
    (of(id().prop_map(UserId)), of(select(Role::ALL)), select(Via::ALL), of(credential()))
        .prop_map(|(user, role, via, credential)| Actor { user, role, via, credential })
}

/// A version, and an actor as it is recorded by that version.
fn recorded() -> impl Strategy<Value = (EnvelopeVersion, Actor)> {
    (select(EnvelopeVersion::ALL), actor())
        .prop_filter_map("a face of a later version", |(version, actor)| {
            Some((version, version.record(actor)?))
        })
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let place = (number(), stream(), of(id().prop_map(UserId)), number(), id().prop_map(EventId));
    let shape = (
        select(vec!["A", "AB", "B", "BA"]),
        select(vec![0, 1, u32::MAX]),
        number().prop_map(Timestamp),
        recorded(),
    );
    let command = select(vec![0, 1, u128::MAX]).prop_map(|id| CommandId(id.to_be_bytes()));
    let cause = (command, id().prop_map(CorrelationId), of(id().prop_map(EventId)));
    (place, shape, cause).prop_map(
        |((position, stream, owner, version, id), (kind, schema, at, recorded), cause)| {
            let (command_id, correlation_id, causation_id) = cause;
            let (envelope_version, actor) = recorded;
            let kind = kind.to_owned();
            Envelope {
                envelope_version,
                position,
                stream,
                owner,
                version,
                id,
                kind,
                schema,
                at,
                actor,
                command_id,
                correlation_id,
                causation_id,
            }
        },
    )
}

fn facts() -> impl Strategy<Value = Vec<u8>> {
    select(vec!["{}", "{\"a\":1}", "{\"a\":11}", ""]).prop_map(|facts| facts.as_bytes().to_vec())
}

fn sealed() -> impl Strategy<Value = Sealed> {
    (envelope(), facts(), of(select(vec![[0; 32], [1; 32]])))
        .prop_map(|(envelope, facts, digest)| Sealed { envelope, facts, digest })
}

/// The same event with one field taken over from another.
fn graft(mut to: Sealed, from: Sealed, field: usize) -> Sealed {
    let (old, new) = (&mut to.envelope, from.envelope);
    match field {
        0 => old.position = new.position,
        1 => old.stream = new.stream,
        2 => old.owner = new.owner,
        3 => old.version = new.version,
        4 => old.id = new.id,
        5 => old.kind = new.kind,
        6 => old.schema = new.schema,
        7 => old.at = new.at,
        8 => old.actor.user = new.actor.user,
        9 => old.actor.role = new.actor.role,
        // What the version has no word for stays as it was.
        10 => {
            old.actor.via =
                old.envelope_version.record(new.actor).map_or(old.actor.via, |actor| actor.via);
        }
        11 => old.command_id = new.command_id,
        12 => old.correlation_id = new.correlation_id,
        13 => old.causation_id = new.causation_id,
        14 => to.facts = from.facts,
        15 => {
            let actor = Actor { credential: new.actor.credential, ..old.actor };
            old.actor = old.envelope_version.record(actor).unwrap_or(old.actor);
        }
        16 if old.envelope_version == EnvelopeVersion::V1 => {
            old.envelope_version = EnvelopeVersion::V2;
        }
        _ => to.digest = from.digest,
    }
    to
}

/// Takes length-prefixed fields apart, as a reader in another language would.
fn fields(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut fields = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
        let (field, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        fields.push(field);
        bytes = rest;
    }
    assert!(bytes.is_empty(), "bytes left over");
    fields
}

fn id_bytes(id: Option<Uuid>) -> Vec<u8> {
    id.map(|id| id.as_bytes().to_vec()).unwrap_or_default()
}

/// The fields by `ops/docs/FORMATS.md`, section 2, written independently of the code.
fn expected_fields(event: &Sealed) -> Vec<Vec<u8>> {
    let Sealed { envelope, facts, digest } = event;
    let role = match envelope.actor.role {
        None => "",
        Some(Role::User) => "user",
        Some(Role::Auditor) => "auditor",
        Some(Role::Admin) => "admin",
    };
    let via = match envelope.actor.via {
        Via::Graphql => "graphql",
        Via::Rest => "rest",
        Via::Cli => "cli",
        Via::Timer => "timer",
        Via::Engine => "engine",
        Via::System => "system",
        Via::Console => "console",
        Via::Gateway => "gateway",
    };
    let (kind, id) = match envelope.actor.credential {
        None => ("", None),
        Some(ActingCredential::Session(SessionId(id))) => ("session", Some(id)),
        Some(ActingCredential::ApiToken(ApiTokenId(id))) => ("api_token", Some(id)),
        Some(ActingCredential::Operator) => ("operator", None),
        Some(ActingCredential::Timer) => ("timer", None),
    };
    let (tag, credential) = match envelope.envelope_version {
        EnvelopeVersion::V1 => ("claviger/event/1", Vec::new()),
        EnvelopeVersion::V2 => ("claviger/event/2", vec![kind.as_bytes().to_vec(), id_bytes(id)]),
    };
    let until_via = vec![
        tag.as_bytes().to_vec(),
        envelope.position.to_be_bytes().to_vec(),
        envelope.stream.to_string().into_bytes(),
        id_bytes(envelope.owner.map(|id| id.0)),
        envelope.version.to_be_bytes().to_vec(),
        id_bytes(Some(envelope.id.0)),
        envelope.kind.clone().into_bytes(),
        u64::from(envelope.schema).to_be_bytes().to_vec(),
        envelope.at.0.to_be_bytes().to_vec(),
        id_bytes(envelope.actor.user.map(|id| id.0)),
        role.as_bytes().to_vec(),
        via.as_bytes().to_vec(),
    ];
    let from_command = vec![
        envelope.command_id.0.to_vec(),
        id_bytes(Some(envelope.correlation_id.0)),
        id_bytes(envelope.causation_id.map(|id| id.0)),
        facts.clone(),
        digest.map_or(vec![0], |digest| [&[1][..], &digest].concat()),
    ];
    [until_via, credential, from_command].concat()
}

fn encode(list: &[Vec<u8>]) -> Vec<u8> {
    let mut fields = Fields::default();
    for field in list {
        fields.push(field);
    }
    fields.as_bytes().to_vec()
}

fn few_fields() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(0_u8..2, 0..6), 0..5)
}

proptest! {
    #![proptest_config(settings(1000))]

    #[test]
    fn body_is_the_fields_of_its_version(event in sealed()) {
        let body = event.body();
        prop_assert_eq!(fields(&body), expected_fields(&event));
    }

    #[test]
    fn different_events_have_different_bodies(a in sealed(), b in sealed()) {
        prop_assert_eq!(a == b, a.body() == b.body());
    }

    #[test]
    fn events_that_differ_in_one_field_have_different_bodies(a in sealed(), b in sealed(), field in 0_usize..18) {
        let grafted = graft(a.clone(), b, field);
        prop_assert_eq!(a == grafted, a.body() == grafted.body());
    }

    #[test]
    fn different_fields_have_different_bytes(a in few_fields(), b in few_fields()) {
        prop_assert_eq!(a == b, encode(&a) == encode(&b));
        let bytes = encode(&a);
        prop_assert_eq!(fields(&bytes), a);
    }

    #[test]
    fn field_moved_across_a_border_changes_the_bytes(bytes in proptest::collection::vec(any::<u8>(), 1..40), at in any::<prop::sample::Index>(), and in any::<prop::sample::Index>()) {
        let cut = |at: usize| { let (a, b) = bytes.split_at(at); encode(&[a.to_vec(), b.to_vec()]) };
        let (at, and) = (at.index(bytes.len()), and.index(bytes.len()));
        prop_assert_eq!(at == and, cut(at) == cut(and));
    }
}

#[test]
fn absent_id_is_the_empty_field_and_a_nil_id_is_not() {
    let push = |id| Fields::with_capacity(20).push_id(id).as_bytes().to_vec();
    assert_eq!(push(None), [0, 0, 0, 0]);
    assert_eq!(push(Some(Uuid::nil())), [&[0, 0, 0, 16][..], &[0; 16]].concat());
}

//! The golden vectors that an independent implementation made: leaves, tree, global ids.

use claviger_application::ids::{IdKind, decode, encode};
use claviger_domain::actor::{ActingCredential, Actor, Role, Via};
use claviger_domain::event::{Envelope, EnvelopeVersion};

use claviger_domain::id::{CommandId, CorrelationId, EventId, UserId, read_hex};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_proof::{Frontier, content_digest, leaf_hash};
use serde_json::Value;
use uuid::Uuid;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../ops/formats/vectors.json")).unwrap()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let pairs = hex.as_str().unwrap().as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn hash(hex: &Value) -> [u8; 32] {
    read_hex(hex.as_str().unwrap()).unwrap()
}

fn id(value: &Value) -> Option<Uuid> {
    value.as_str().map(|text| text.parse().unwrap())
}

fn envelope(vector: &Value) -> Envelope {
    let event = &vector["event"];
    let number = vector["envelope"].as_u64().unwrap_or(1);
    let credential = event["actor_credential_kind"].as_str();
    Envelope {
        envelope_version: EnvelopeVersion::of_number(number.try_into().unwrap()).unwrap(),
        position: event["position"].as_u64().unwrap(),
        stream: StreamName::parse(event["stream"].as_str().unwrap()).unwrap(),
        owner: id(&event["owner"]).map(UserId),
        version: event["version"].as_u64().unwrap(),
        id: EventId(id(&event["id"]).unwrap()),
        kind: event["type"].as_str().unwrap().to_owned(),
        schema: u32::try_from(event["schema"].as_u64().unwrap()).unwrap(),
        at: Timestamp(event["at"].as_u64().unwrap()),
        actor: Actor {
            user: id(&event["actor_user"]).map(UserId),
            role: event["actor_role"].as_str().map(|role| Role::parse(role).unwrap()),
            via: Via::parse(event["actor_via"].as_str().unwrap()).unwrap(),
            credential: credential.map(|kind| {
                ActingCredential::parse(kind, id(&event["actor_credential_id"])).unwrap()
            }),
        },
        command_id: CommandId(read_hex(event["command_id"].as_str().unwrap()).unwrap()),
        correlation_id: CorrelationId(id(&event["correlation_id"]).unwrap()),
        causation_id: id(&event["causation_id"]).map(EventId),
    }
}

#[test]
fn leaves_are_those_of_the_golden_vectors() {
    let vectors = vectors();
    let of_version = |name: &str| vectors[name].as_array().unwrap();
    let (first, second) = (of_version("leaves"), of_version("leaves_2"));
    assert!(first.len() >= 5 && second.len() >= 5);
    for vector in first.iter().chain(second) {
        let content: Vec<Vec<u8>> =
            vector["content_boxes"].as_array().into_iter().flatten().map(bytes).collect();
        let digest = vector["content_digest"].as_str().map(|hex| read_hex(hex).unwrap());
        assert_eq!(content_digest(&content), digest, "{}", vector["name"]);
        let facts = vector["facts_utf8"].as_str().unwrap().as_bytes();
        assert_eq!(
            leaf_hash(&envelope(vector), facts, &content),
            hash(&vector["leaf"]),
            "{}",
            vector["name"]
        );
    }
}

#[test]
fn trees_are_those_of_the_golden_vectors() {
    let vectors = vectors();
    let leaves: Vec<_> =
        vectors["tree"]["leaf_hashes"].as_array().unwrap().iter().map(hash).collect();
    let sizes = vectors["tree"]["sizes"].as_array().unwrap();
    assert_eq!(sizes.len(), leaves.len() + 1);
    let mut frontier = Frontier::default();
    for (size, vector) in sizes.iter().enumerate() {
        assert_eq!(vector["size"], size);
        assert_eq!(frontier.to_bytes(), bytes(&vector["frontier"]), "frontier of {size}");
        assert_eq!(frontier.root(), hash(&vector["root"]), "root of {size}");
        if let Some(leaf) = leaves.get(size) {
            frontier.push(*leaf);
        }
    }
}

#[test]
fn global_ids_are_those_of_the_golden_vectors() {
    let kinds = [
        IdKind::User,
        IdKind::ApiKey,
        IdKind::Session,
        IdKind::Event,
        IdKind::Correlation,
        IdKind::Orchestration,
        IdKind::Step,
    ];
    for vector in vectors()["global_ids"].as_array().unwrap() {
        let (text, uuid) = (vector["id"].as_str().unwrap(), id(&vector["uuid"]).unwrap());
        match kinds.into_iter().find(|kind| format!("{kind:?}") == vector["type"].as_str().unwrap())
        {
            Some(kind) => {
                assert_eq!(encode(kind, uuid), text);
                assert_eq!(decode(text), Some((kind, uuid)));
            }
            // Types whose part of the contract is not implemented yet.
            None => assert_eq!(decode(text), None),
        }
    }
}

#[test]
fn only_the_one_form_of_a_global_id_is_read() {
    let uuid = Uuid::from_u128(7);
    let good = encode(IdKind::ApiKey, uuid);
    for text in [
        format!("{good}="),
        good.to_uppercase(),
        format!("{good}AA"),
        String::new(),
        "ApiKey:7".to_owned(),
        "x".repeat(200),
    ] {
        assert_eq!(decode(&text), None, "{text}");
    }
}

//! `ops/formats/vectors.json`, made in Python from `ops/docs/FORMATS.md`: sealing with the same
//! nonce gives the same bytes, and they open.

use crate::support::{Script, api_key};
use claviger_domain::actor::{ActingCredential, Actor, Role, Via};
use claviger_domain::event::{Envelope, EnvelopeVersion};
use claviger_domain::id::{
    CommandId, CorrelationId, EventId, KeyId, SessionId, UserId, read_hex, write_hex,
};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_vault::*;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use uuid::Uuid;

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../ops/formats/vectors.json")).unwrap()
});

fn list(name: &str) -> &'static [Value] {
    VECTORS[name].as_array().unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value}"))
}

fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    write_hex(&mut text, bytes).unwrap();
    text
}

fn bytes(value: &Value, name: &str) -> Vec<u8> {
    unhex(text(value, name))
}

fn array<const N: usize>(value: &Value, name: &str) -> [u8; N] {
    read_hex(text(value, name)).unwrap()
}

fn int(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no integer {name} in {value}"))
}

fn int32(value: &Value, name: &str) -> u32 {
    int(value, name).try_into().unwrap()
}

fn id<T: From<Uuid>>(value: &Value, name: &str) -> T {
    Uuid::parse_str(text(value, name)).unwrap().into()
}

fn optional_id<T: From<Uuid>>(value: &Value, name: &str) -> Option<T> {
    (!value[name].is_null()).then(|| id(value, name))
}

fn stream(value: &Value) -> StreamName {
    StreamName::parse(text(value, "stream")).unwrap()
}

/// A key made of these bytes, through a scripted generator.
macro_rules! key {
    ($name:ident, $bytes:expr) => {
        $name::generate(&Script::of(&$bytes))
    };
}

fn kek(vector: &Value) -> Kek {
    Kek::from_bytes(array(vector, "key"))
}

/// One box vector: its inputs, the nonce as entropy, the box.
struct BoxVector<'a> {
    vector: &'a Value,
    inputs: &'a Value,
    key: Vec<u8>,
    text: Vec<u8>,
    sealed: Vec<u8>,
}

impl BoxVector<'_> {
    fn nonce(&self) -> Script {
        Script::of(&bytes(self.vector, "nonce"))
    }

    fn owner(&self) -> UserId {
        id(self.inputs, "owner")
    }

    fn user_key_version(&self) -> u32 {
        int32(self.inputs, "user_key_version")
    }

    fn api_key(&self) -> (KeyId, u32) {
        (id(self.inputs, "key_id"), int32(self.inputs, "secret_version"))
    }

    fn content_ad(&self) -> ContentAd<'_> {
        content_ad(self.inputs)
    }

    fn view_ad(&self) -> ViewAd<'_> {
        ViewAd {
            owner: self.owner(),
            stream: stream(self.inputs),
            view: text(self.inputs, "view"),
            row: id(self.inputs, "row"),
        }
    }

    fn data_key_ad(&self) -> DataKeyAd {
        let (key, secret_version) = self.api_key();
        DataKeyAd {
            owner: self.owner(),
            key,
            secret_version,
            user_key_version: self.user_key_version(),
        }
    }
}

fn content_ad(inputs: &Value) -> ContentAd<'_> {
    ContentAd {
        owner: id(inputs, "owner"),
        stream: stream(inputs),
        version: int(inputs, "version"),
        kind: text(inputs, "type"),
        schema: int32(inputs, "schema"),
    }
}

/// Seals the vector's inputs, then opens the vector's box and seals the opened key again. An opened
/// key cannot be inspected, but only the right one gives the same box.
fn sealed_and_resealed(v: &BoxVector<'_>) -> [Vec<u8>; 2] {
    match text(v.vector, "purpose") {
        "user-key" => {
            let (kek, keks) = (kek(v.vector), KekSet::new(vec![kek(v.vector)]).unwrap());
            let opened =
                unwrap_user_key(&keks, kek.id(), v.owner(), v.user_key_version(), &v.sealed)
                    .unwrap();
            [key!(UserKey, v.text), opened].map(|key| {
                wrap_user_key(&kek, &key, v.owner(), v.user_key_version(), &v.nonce()).unwrap()
            })
        }
        "store-index-key" => {
            let (kek, keks) = (kek(v.vector), KekSet::new(vec![kek(v.vector)]).unwrap());
            let opened = unwrap_store_index_key(&keks, kek.id(), &v.sealed).unwrap();
            [key!(StoreIndexKey, v.text), opened]
                .map(|key| wrap_store_index_key(&kek, &key, &v.nonce()).unwrap())
        }
        "store-index-key-2" => {
            let (kek, keks) = (kek(v.vector), KekSet::new(vec![kek(v.vector)]).unwrap());
            let opened = StoreKey::unwrap(&keks, kek.id(), &v.sealed).unwrap();
            let since = int(v.inputs, "signed_since");
            assert_eq!(opened.signed_since, Some(since));
            let made = StoreKey {
                index: key!(StoreIndexKey, v.text[..KEY_LEN]),
                signed_since: Some(since),
            };
            [made, opened].map(|key| key.wrap(&kek, &v.nonce()).unwrap())
        }
        "canary" => {
            open_canary(&kek(v.vector), &v.sealed).unwrap();
            [(); 2].map(|()| seal_canary(&kek(v.vector), &v.nonce()).unwrap())
        }
        "user-index-key" => {
            let (under, version) = (key!(UserKey, v.key), v.user_key_version());
            let opened = unwrap_index_key(&under, v.owner(), version, &v.sealed).unwrap();
            [key!(IndexKey, v.text), opened]
                .map(|key| wrap_index_key(&under, &key, v.owner(), version, &v.nonce()).unwrap())
        }
        "content-key" => {
            let (under, version, stream) =
                (key!(UserKey, v.key), v.user_key_version(), stream(v.inputs));
            let opened = unwrap_content_key(&under, v.owner(), stream, version, &v.sealed).unwrap();
            [key!(ContentKey, v.text), opened].map(|key| {
                wrap_content_key(&under, &key, v.owner(), stream, version, &v.nonce()).unwrap()
            })
        }
        "data-key" => {
            let (under, ad) = (key!(UserKey, v.key), v.data_key_ad());
            let opened = unwrap_data_key(&under, &ad, &v.sealed).unwrap();
            [key!(DataKey, v.text), opened]
                .map(|key| wrap_data_key(&under, &key, &ad, &v.nonce()).unwrap())
        }
        _ => texts_sealed_and_resealed(v),
    }
}

/// The same for boxes that hold text.
fn texts_sealed_and_resealed(v: &BoxVector<'_>) -> [Vec<u8>; 2] {
    let plain = String::from_utf8(v.text.clone()).unwrap();
    match text(v.vector, "purpose") {
        "credential" => {
            let under = key!(UserKey, v.key);
            let password_version = int32(v.inputs, "password_version");
            let ad = CredentialAd {
                owner: v.owner(),
                password_version,
                user_key_version: v.user_key_version(),
            };
            let opened = open_credential(&under, &ad, &v.sealed).unwrap();
            [SecretText::new(plain), opened]
                .map(|phc| seal_credential(&under, &phc, &ad, &v.nonce()).unwrap())
        }
        "secret" => {
            let (under, (key, version)) = (key!(DataKey, v.key), v.api_key());
            let opened = open_secret(&under, v.owner(), key, version, &v.sealed).unwrap();
            [api_key(&plain), api_key(opened.expose())].map(|secret| {
                seal_secret(&under, &secret, v.owner(), key, version, &v.nonce()).unwrap()
            })
        }
        "content" | "content-empty" => {
            let (under, ad) = (key!(ContentKey, v.key), v.content_ad());
            let opened = open_content(&under, &ad, std::slice::from_ref(&v.sealed)).unwrap();
            [&v.text, &*opened]
                .map(|json| seal_content(&under, &ad, json, &v.nonce()).unwrap().remove(0))
        }
        "view" => {
            let (under, ad) = (key!(ContentKey, v.key), v.view_ad());
            let opened = open_view(&under, &ad, &v.sealed).unwrap();
            [&v.text, &*opened].map(|json| seal_view(&under, &ad, json, &v.nonce()).unwrap())
        }
        "delta" => {
            let under = key!(ContentKey, v.key);
            let ad = DeltaAd {
                owner: v.owner(),
                stream: stream(v.inputs),
                v: int(v.inputs, "v"),
                d: int(v.inputs, "d"),
            };
            let opened = open_delta(&under, &ad, &v.sealed).unwrap();
            for other in [DeltaAd { v: ad.v + 1, ..ad }, DeltaAd { d: ad.d + 1, ..ad }] {
                assert_eq!(
                    open_delta(&under, &other, &v.sealed).err(),
                    Some(VaultError::Tampered),
                    "in another place"
                );
            }
            [&v.text, &*opened].map(|json| seal_delta(&under, &ad, json, &v.nonce()).unwrap())
        }
        other => panic!("no test covers the purpose {other}"),
    }
}

#[test]
fn every_purpose_seals_to_the_exact_bytes_and_opens() {
    for vector in list("boxes") {
        let (key, plain, sealed) =
            (bytes(vector, "key"), bytes(vector, "text"), bytes(vector, "box"));
        assert_eq!(sealed.len(), plain.len() + OVERHEAD);
        let v = BoxVector { vector, inputs: &vector["inputs"], key, text: plain, sealed };
        for made in sealed_and_resealed(&v) {
            assert_eq!(hex(&made), text(vector, "box"), "{}", text(vector, "purpose"));
        }
    }
    assert_eq!(list("boxes").len(), 13, "a purpose was added: cover it above");
}

#[test]
fn long_content_is_split_where_the_format_requires() {
    for vector in list("cut_content") {
        let json: Vec<u8> =
            (0..int(vector, "length")).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let nonces: String = vector["nonces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|nonce| nonce.as_str().unwrap())
            .collect();
        let (key, ad) = (key!(ContentKey, bytes(vector, "key")), content_ad(&vector["inputs"]));
        let boxes = seal_content(&key, &ad, &json, &Script::of(&unhex(&nonces))).unwrap();
        let hashes: Vec<Value> =
            boxes.iter().map(|sealed| hex(&Sha256::digest(sealed)).into()).collect();
        assert_eq!(Value::Array(hashes), vector["box_sha256"]);
        assert!(*open_content(&key, &ad, &boxes).unwrap() == json, "{} bytes", json.len());
    }
}

#[test]
fn a_kek_derives_its_own_id() {
    for vector in list("kek_ids") {
        assert_eq!(Kek::from_bytes(array(vector, "kek")).id(), array(vector, "id"));
        assert_eq!(key!(Kek, bytes(vector, "kek")).id(), array(vector, "id"));
    }
}

#[test]
fn keyed_hashes_give_the_exact_values() {
    let all = &VECTORS["hashes"];
    let (user, store) = (
        key!(IndexKey, bytes(all, "index_key")),
        key!(StoreIndexKey, bytes(all, "store_index_key")),
    );

    let v = &all["command_id"];
    assert_eq!(
        user.command_id(text(v, "mutation"), text(v, "idempotency_key")).to_string(),
        text(v, "value")
    );
    let v = &all["request_hash"];
    assert_eq!(
        user.request_hash(text(v, "mutation"), text(v, "canonical_input_utf8").as_bytes()),
        array(v, "value")
    );
    for v in all["context_tags"].as_array().unwrap() {
        assert_eq!(user.context_tag(text(v, "context")).to_string(), text(v, "value"));
    }
    let v = &all["fingerprint"];
    assert_eq!(user.fingerprint(&api_key(text(v, "secret_utf8"))).to_string(), text(v, "value"));
    let v = &all["claim_username"];
    assert_eq!(store.claim_username(text(v, "folded")), array(v, "value"));
    let v = &all["claim_email"];
    assert_eq!(store.claim_email(text(v, "email")), array(v, "value"));
    let v = &all["claim_identity"];
    assert_eq!(store.claim_identity(text(v, "issuer"), text(v, "subject")), array(v, "value"));
}

#[test]
fn a_forged_refresh_token_is_detected() {
    for v in list("refresh_tokens") {
        let store = key!(StoreIndexKey, bytes(v, "store_index_key"));
        let (session, generation, mac) =
            (id::<SessionId>(v, "session_id"), int32(v, "generation"), array::<32>(v, "mac"));
        assert_eq!(store.refresh_mac(session, generation), mac);
        assert!(store.verify_refresh_mac(session, generation, &mac));
        assert!(!store.verify_refresh_mac(session, generation.wrapping_add(1), &mac));
        assert!(!store.verify_refresh_mac(SessionId(Uuid::nil()), generation, &mac));
        let mut forged = mac;
        forged[31] ^= 1;
        assert!(!store.verify_refresh_mac(session, generation, &forged));
    }
}

#[test]
fn a_refresh_token_is_its_users() {
    for v in list("refresh_tokens_2") {
        let store = key!(StoreIndexKey, bytes(v, "store_index_key"));
        let (session, owner) = (id::<SessionId>(v, "session_id"), id::<UserId>(v, "owner"));
        let (generation, mac) = (int32(v, "generation"), array::<32>(v, "mac"));
        assert_eq!(store.refresh_mac_2(session, owner, generation), mac);
        assert!(store.verify_refresh_mac_2((session, owner), generation, &mac));
        let (nobody, nothing) = (UserId(Uuid::nil()), SessionId(Uuid::nil()));
        assert!(!store.verify_refresh_mac_2((session, nobody), generation, &mac));
        assert!(!store.verify_refresh_mac_2((nothing, owner), generation, &mac));
        assert!(!store.verify_refresh_mac_2((session, owner), generation.wrapping_add(1), &mac));
    }
}

#[test]
fn a_sessions_row_is_bound_to_its_user_generation_and_end() {
    for v in list("session_macs") {
        let store = key!(StoreIndexKey, bytes(v, "store_index_key"));
        let of = (id::<SessionId>(v, "session_id"), id::<UserId>(v, "owner"));
        let (generation, until) = (int32(v, "generation"), Timestamp(int(v, "expires_at")));
        let mac = array::<32>(v, "mac");
        assert_eq!(store.session_mac(of, generation, until), mac);
        assert!(store.verify_session_mac(of, generation, until, &mac));
        let nobody = (of.0, UserId(Uuid::nil()));
        assert!(!store.verify_session_mac(nobody, generation, until, &mac));
        assert!(!store.verify_session_mac(of, generation + 1, until, &mac));
        assert!(!store.verify_session_mac(of, generation, Timestamp(until.0 - 1), &mac));
    }
}

#[test]
fn an_event_is_signed_by_its_leaf() {
    for v in list("event_signatures") {
        let store = key!(StoreIndexKey, bytes(v, "store_index_key"));
        let (leaf, signature) = (array::<32>(v, "leaf"), array::<64>(v, "signature"));
        assert_eq!(store.event_signature(&leaf, &array::<32>(v, "root_before")), signature);
        assert!(store.verify_event_signature(&leaf, &signature));
        let mut changed = leaf;
        changed[0] ^= 1;
        assert!(!store.verify_event_signature(&changed, &signature));
    }
}

fn version(vector: &Value) -> EnvelopeVersion {
    let number = vector["envelope"].as_u64().unwrap_or(1);
    EnvelopeVersion::of_number(number.try_into().unwrap()).unwrap()
}

fn credential(event: &Value) -> Option<ActingCredential> {
    let kind = event["actor_credential_kind"].as_str()?;
    let id = optional_id::<SessionId>(event, "actor_credential_id").map(|id| id.0);
    Some(ActingCredential::parse(kind, id).unwrap())
}

#[test]
fn leaf_bodies_are_the_formats() {
    for v in list("leaves").iter().chain(list("leaves_2")) {
        let event = &v["event"];
        let envelope = Envelope {
            envelope_version: version(v),
            position: int(event, "position"),
            stream: stream(event),
            owner: optional_id(event, "owner"),
            version: int(event, "version"),
            id: id::<EventId>(event, "id"),
            kind: text(event, "type").to_owned(),
            schema: int32(event, "schema"),
            at: Timestamp(int(event, "at")),
            actor: Actor {
                user: optional_id(event, "actor_user"),
                role: event["actor_role"].as_str().map(|role| Role::parse(role).unwrap()),
                via: Via::parse(text(event, "actor_via")).unwrap(),
                credential: credential(event),
            },
            command_id: CommandId(array(event, "command_id")),
            correlation_id: id::<CorrelationId>(event, "correlation_id"),
            causation_id: optional_id(event, "causation_id"),
        };
        let digest = v["content_digest"].as_str().map(|digest| read_hex::<32>(digest).unwrap());
        let body = envelope.leaf_body(text(v, "facts_utf8").as_bytes(), digest.as_ref());
        assert_eq!(hex(&body), text(v, "body"), "{}", text(v, "name"));
    }
}

use crate::given::{user, uuid};
use claviger_domain::actor::{ActingCredential, Actor, Role, Via};
use claviger_domain::event::EnvelopeVersion;
use claviger_domain::id::{ApiTokenId, CommandId, ContextTag, Fingerprint, SessionId, read_hex};
use claviger_domain::stream::StreamName;
use uuid::Uuid;

#[test]
fn stream_names_are_written_as_the_format_says_and_read_back() {
    let id = "0199c82c-c000-7000-8000-000000000101";
    let table = [
        (StreamName::Account(user(1)), format!("account/{id}")),
        (StreamName::KeyRing(user(1)), format!("key-ring/{id}")),
        (StreamName::Run(uuid(1, 1)), format!("run/{id}")),
        (StreamName::RunControl(uuid(1, 1)), format!("run-control/{id}")),
        (StreamName::System, "system".to_owned()),
    ];
    for (name, text) in table {
        assert_eq!(name.to_string(), text);
        assert_eq!(StreamName::parse(&text), Some(name));
    }
}

#[test]
fn what_was_not_written_by_us_is_no_stream_name() {
    let id = "0199c82c-c000-7000-8000-00000000010a";
    let upper = id.to_uppercase();
    let simple = id.replace('-', "");
    let bad = [
        String::new(),
        "/".to_owned(),
        "System".to_owned(),
        "system/".to_owned(),
        format!("system/{id}"),
        "account".to_owned(),
        "account/".to_owned(),
        "account/7".to_owned(),
        format!("Account/{id}"),
        format!("key_ring/{id}"),
        format!("account/{upper}"),
        format!("account/{simple}"),
        format!("account/{{{id}}}"),
        format!("account/urn:uuid:{id}"),
        format!("account//{id}"),
        format!("account/{id}/"),
        format!(" account/{id}"),
        format!("account/{id}\n"),
    ];
    for text in bad {
        assert_eq!(StreamName::parse(&text), None, "{text:?}");
    }
}

#[test]
fn ids_are_shown_hyphenated_and_lower_case() {
    let id = Uuid::from_u128(0x0199_C82C_C000_7000_8000_0000_0000_01AB);
    assert_eq!(claviger_domain::id::KeyId(id).to_string(), "0199c82c-c000-7000-8000-0000000001ab");
    let json = serde_json::to_string(&claviger_domain::id::KeyId(id)).unwrap();
    assert_eq!(json, "\"0199c82c-c000-7000-8000-0000000001ab\"");
}

#[test]
fn hashes_are_shown_as_lower_case_hex() {
    assert_eq!(CommandId([0xab; 16]).to_string(), "ab".repeat(16));
    assert_eq!(format!("{:?}", CommandId([0x0f; 16])), format!("CommandId({})", "0f".repeat(16)));
    assert_eq!(ContextTag([0x01; 16]).to_string(), "01".repeat(16));
    assert_eq!(
        format!("{:?}", Fingerprint([0xff; 32])),
        format!("Fingerprint({})", "ff".repeat(32))
    );
}

#[test]
fn hex_is_read_only_at_its_full_length_and_without_signs() {
    assert_eq!(read_hex("00fF"), Some([0, 255]));
    assert_eq!(read_hex::<0>(""), Some([]));
    for text in ["", "00f", "00fff", "00fg", "+f00", "0x00", " f00", "00f\n", "äf0", "-100"] {
        assert_eq!(read_hex::<2>(text), None, "{text:?}");
    }
}

#[test]
fn words_of_the_actor_are_read_as_they_are_written() {
    let roles: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
    assert_eq!(roles, ["user", "auditor", "admin"]);
    let doors: Vec<_> = Via::ALL.iter().map(|via| via.as_str()).collect();
    assert_eq!(
        doors,
        ["graphql", "rest", "cli", "timer", "engine", "system", "console", "gateway"]
    );
    assert!(Role::ALL.iter().all(|role| Role::parse(role.as_str()) == Some(*role)));
    assert!(Via::ALL.iter().all(|via| Via::parse(via.as_str()) == Some(*via)));
    assert!(["", "User", "root", " user"].iter().all(|text| Role::parse(text).is_none()));
    assert!(["", "REST", "http"].iter().all(|text| Via::parse(text).is_none()));
}

#[test]
fn credentials_are_read_as_they_are_written_and_only_with_their_id() {
    let id = Uuid::from_u128(7);
    let written = [
        (ActingCredential::Session(SessionId(id)), "session", Some(id)),
        (ActingCredential::ApiToken(ApiTokenId(id)), "api_token", Some(id)),
        (ActingCredential::Operator, "operator", None),
        (ActingCredential::Timer, "timer", None),
    ];
    for (credential, kind, id) in written {
        assert_eq!((credential.kind(), credential.id()), (kind, id));
        assert_eq!(ActingCredential::parse(kind, id), Some(credential));
        let other = if id.is_some() { None } else { Some(Uuid::nil()) };
        assert_eq!(ActingCredential::parse(kind, other), None, "{kind}");
    }
    for kind in ["", "Session", "engine", "password"] {
        assert_eq!(ActingCredential::parse(kind, None), None, "{kind}");
    }
}

#[test]
fn version_1_records_no_credential_and_has_no_word_for_newer_faces() {
    let credential = Some(ActingCredential::Operator);
    for via in Via::ALL {
        let actor = Actor { user: None, role: None, via: *via, credential };
        let newer = matches!(via, Via::Console | Via::Gateway);
        let recorded = (!newer).then_some(Actor { credential: None, ..actor });
        assert_eq!(EnvelopeVersion::V1.record(actor), recorded, "{via:?}");
        assert_eq!(EnvelopeVersion::V2.record(actor), Some(actor), "{via:?}");
    }
}

#[test]
fn stronger_roles_sort_after_weaker_ones() {
    assert!(Role::User < Role::Auditor && Role::Auditor < Role::Admin);
}

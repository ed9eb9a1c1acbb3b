//! Stored shapes stay as they are: every event type and schema has one golden file. The bytes of
//! the current schema are what the code writes and reads; a file of an older schema is read and
//! becomes the current event that `older_events` names.
//!
//! `UPDATE_GOLDEN=1 cargo test -p claviger-domain golden::` makes the missing file of a current
//! schema (the first run may still fail, because tests run in parallel); an existing file is never
//! touched. Review a new file before checking it in: it is permanent.

use crate::{example, example_run};
use claviger_domain::account::AccountEvent;
use claviger_domain::catalogue::{Readable, Requirement, current_shapes, older_shapes, upcast};
use claviger_domain::event::{EnvelopeVersion, EventError, Payload, Shape};
use claviger_domain::key_ring::KeyRingEvent;
use claviger_domain::orchestration::{RunControlEvent, RunEvent};
use claviger_domain::system::SystemEvent;
use cqrs_es::DomainEvent;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// A golden file. Facts and content are kept as they were written, byte for byte.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    facts: Box<RawValue>,
    content: Option<Box<RawValue>>,
}

impl Golden {
    fn facts(&self) -> &[u8] {
        self.facts.get().as_bytes()
    }

    fn content(&self) -> Option<&[u8]> {
        self.content.as_deref().map(|content| content.get().as_bytes())
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn file_name(kind: &str, schema: u32) -> String {
    format!("{kind}.{schema}.json")
}

fn read(kind: &str, schema: u32) -> Golden {
    let name = file_name(kind, schema);
    let text = std::fs::read_to_string(folder().join(&name))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn all_types() -> impl Iterator<Item = Shape> {
    current_shapes().into_iter().chain(older_shapes())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a switch of this test alone, not a setting of the server"
)]
fn asked_to_update() -> bool {
    std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1")
}

/// Makes the file if it is missing and that was asked for.
fn make_missing(event: &impl Payload) {
    let parts = event.parts().unwrap();
    let path = folder().join(file_name(parts.kind, parts.schema));
    if !asked_to_update() || path.exists() {
        return;
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let content = parts
        .content
        .map(|content| format!(",\n  \"content\": {}", text(content)))
        .unwrap_or_default();
    std::fs::write(path, format!("{{\n  \"facts\": {}{content}\n}}\n", text(parts.facts))).unwrap();
}

fn check<E: Payload + DomainEvent + PartialEq + Debug>(examples: Vec<E>) {
    let named: Vec<_> = examples
        .iter()
        .map(|event| (event.event_type(), event.event_version().parse().unwrap()))
        .collect();
    let expected: Vec<_> =
        E::CURRENT.iter().map(|(kind, schema)| ((*kind).to_owned(), *schema)).collect();
    assert_eq!(named, expected, "one example of every type, in order");
    for event in examples {
        make_missing(&event);
        let parts = event.parts().unwrap();
        let golden = read(parts.kind, parts.schema);
        let name = file_name(parts.kind, parts.schema);
        assert_eq!(event.subject(), parts.subject, "{name}");
        assert_eq!(String::from_utf8_lossy(&parts.facts), golden.facts.get(), "facts of {name}");
        assert_eq!(parts.content.as_deref(), golden.content(), "content of {name}");
        let decoded =
            E::decode(parts.kind, parts.schema, golden.facts(), golden.content()).unwrap();
        assert_eq!(decoded, event, "{name}");
    }
}

#[test]
fn key_ring_events_are_written_and_read_as_their_golden_files_say() {
    check(example::key_ring_events());
}

#[test]
fn account_events_are_written_and_read_as_their_golden_files_say() {
    check(example::account_events());
}

#[test]
fn system_events_are_written_and_read_as_their_golden_files_say() {
    check(example::system_events());
}

#[test]
fn run_events_are_written_and_read_as_their_golden_files_say() {
    check(example_run::run_events());
    check(example_run::run_control_events());
}

/// Every older schema in order, each with the event of today that its golden file becomes.
fn check_older<E: Payload + PartialEq + Debug>(becomes: &[(Shape, E)]) {
    let listed: Vec<_> = becomes.iter().map(|(shape, _)| *shape).collect();
    assert_eq!(listed, E::OLDER, "the event that every older schema becomes, in order");
    for ((kind, schema), event) in becomes {
        let (golden, name) = (read(kind, *schema), file_name(kind, *schema));
        let (_, current) = E::CURRENT.iter().find(|(current, _)| current == kind).unwrap();
        assert!(schema < current, "{name} is older than the current schema");
        let decoded = E::decode(kind, *schema, golden.facts(), golden.content()).unwrap();
        assert_eq!(&decoded, event, "{name}");
        let shown = upcast(kind, *schema, golden.facts(), golden.content()).unwrap().unwrap();
        assert_eq!(shown, event.parts().unwrap(), "{name}");
        assert_eq!((shown.kind, shown.schema), (*kind, *current), "{name} stays of its type");
        let erased = E::decode(kind, *schema, golden.facts(), None).unwrap().parts().unwrap();
        assert_eq!((erased.facts, erased.content), (shown.facts, None), "{name} without content");
    }
}

#[test]
fn golden_files_of_older_schemas_become_events_of_the_current_ones() {
    check_older::<KeyRingEvent>(&example::older_key_ring_events());
    check_older::<AccountEvent>(&[]);
    check_older::<SystemEvent>(&[]);
    check_older::<RunEvent>(&example_run::older_run_events());
    check_older::<RunControlEvent>(&[]);
}

#[test]
fn only_older_schemas_are_converted_to_be_shown() {
    for (kind, schema) in current_shapes() {
        let golden = read(kind, schema);
        assert!(upcast(kind, schema, golden.facts(), golden.content()).unwrap().is_none());
        assert!(upcast(kind, schema + 1, b"{}", None).unwrap().is_none());
    }
    let malformed = upcast("KeyRenamed", 0, b"{\"key\":7}", None);
    assert!(matches!(malformed, Err(EventError::Malformed { part: "facts", .. })));
}

#[test]
fn programs_of_before_read_schema_1_of_every_type_and_version_1_of_the_envelope() {
    let first: Vec<_> = Readable::first().iter().map(ToString::to_string).collect();
    let (current, schema_1) = (Readable::current(), current_shapes().len());
    assert_eq!(first.len(), 45, "the list describes released programs: it is never edited");
    assert!(Readable::first().iter().all(|known| current.has(known)), "all of it is still read");
    for (kind, schema) in all_types() {
        let by_all = Readable::first().has(&Requirement::event(kind, schema));
        assert_eq!(Readable::by_all(kind, schema), by_all, "{kind} {schema}");
    }
    assert!(schema_1 >= 44 && first.contains(&"envelope/1".to_owned()));
    assert!(
        !first.contains(&"envelope/2".to_owned()) && !first.contains(&"KeyRenamed/0".to_owned())
    );
    assert!(current.has(&Requirement::envelope(EnvelopeVersion::NEWEST)));
    assert!(all_types().all(|(kind, schema)| current.has(&Requirement::event(kind, schema))));
    assert_eq!(current.iter().count(), all_types().count() + EnvelopeVersion::ALL.len());
}

#[test]
fn every_golden_file_belongs_to_a_type_and_no_two_aggregates_share_one() {
    let files: BTreeSet<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    let types: BTreeSet<_> = all_types().map(|(kind, schema)| file_name(kind, schema)).collect();
    assert_eq!(files, types);
    assert_eq!(types.len(), all_types().count());
}

/// Facts as `ops/docs/FORMATS.md`, sections 2 and 7, requires: compact, integers only, nothing
/// null, words in `snake_case`.
fn check_fact(value: &Value, place: &str) {
    match value {
        Value::Null => panic!("null in {place}: an absent optional is left out"),
        Value::Bool(_) => {}
        Value::Number(number) => assert!(number.is_u64(), "{number} in {place}"),
        Value::String(text) => {
            let plain = text.chars().all(|c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | ':')
            });
            assert!(plain, "{text} in {place}");
        }
        Value::Array(items) => items.iter().for_each(|item| check_fact(item, place)),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| check_fact(field, &format!("{place}/{name}")));
        }
    }
}

#[test]
fn facts_are_compact_objects_of_integers_ids_and_words() {
    for (kind, schema) in all_types() {
        let golden = read(kind, schema);
        let facts: Value = serde_json::from_slice(golden.facts()).unwrap();
        assert!(facts.is_object(), "{kind}");
        check_fact(&facts, kind);
        assert!(!golden.facts.get().contains([' ', '\n']), "{kind} is compact");
    }
}

/// The event as it reads once its content is destroyed, or to those it doesn't belong to.
fn erased<E: Payload>(kind: &str, schema: u32) -> E {
    E::decode(kind, schema, read(kind, schema).facts(), None).unwrap()
}

fn check_erased<E: Payload>() {
    for (kind, schema) in E::CURRENT {
        let parts = erased::<E>(kind, *schema).parts().unwrap();
        assert_eq!(parts.facts, read(kind, *schema).facts(), "{kind}");
        assert_eq!(parts.content, None, "{kind}");
    }
}

#[test]
fn erased_events_keep_their_facts_and_have_no_content() {
    check_erased::<KeyRingEvent>();
    check_erased::<AccountEvent>();
    check_erased::<SystemEvent>();
    check_erased::<RunEvent>();
    check_erased::<RunControlEvent>();
}

#[test]
fn events_about_a_key_name_it_as_their_subject_and_account_events_name_none() {
    for event in example::key_ring_events() {
        assert_eq!(event.parts().unwrap().subject, Some(crate::given::key(1).0));
    }
    for event in example::account_events() {
        assert_eq!(event.parts().unwrap().subject, None);
    }
    for event in example::system_events() {
        assert_eq!(event.parts().unwrap().subject, None);
    }
}

#[test]
fn absent_optionals_are_left_out() {
    let (key, added) = ("0199c82c-c000-7000-8000-000000000201", crate::key_ring::added(1));
    let facts = String::from_utf8(added.parts().unwrap().facts).unwrap();
    assert_eq!(
        facts,
        format!(
            "{{\"key\":\"{key}\",\"fingerprint\":\"{}\",\"secret_version\":1}}",
            "01".repeat(32)
        )
    );
    let never = crate::key_ring::expiry_set(1, None).parts().unwrap();
    assert_eq!(String::from_utf8(never.facts).unwrap(), format!("{{\"key\":\"{key}\"}}"));
    let unnamed = crate::account::renamed(None).parts().unwrap();
    assert_eq!((unnamed.facts, unnamed.content), (b"{}".to_vec(), Some(b"{}".to_vec())));
}

// ---- what isn't ours ----

fn is_unknown<E: Payload>(kind: &str, schema: u32) -> bool {
    let result = E::decode(kind, schema, b"{}", None);
    matches!(result, Err(EventError::Unknown { kind: found, schema: at }) if found == kind && at == schema)
}

#[test]
fn unknown_type_and_unknown_schema_are_named() {
    assert!(is_unknown::<KeyRingEvent>("KeyPolished", 1));
    assert!(is_unknown::<KeyRingEvent>("AccountErased", 1));
    assert!(is_unknown::<AccountEvent>("KeyAdded", 1));
    assert!(is_unknown::<AccountEvent>("", 0));
    for (kind, schema) in KeyRingEvent::CURRENT {
        let older = KeyRingEvent::OLDER.contains(&(*kind, 0));
        assert!(is_unknown::<KeyRingEvent>(kind, schema + 1), "{kind}");
        assert_eq!(is_unknown::<KeyRingEvent>(kind, 0), !older, "{kind}");
    }
    for (kind, schema) in AccountEvent::CURRENT {
        assert!(
            is_unknown::<AccountEvent>(kind, schema + 1) && is_unknown::<AccountEvent>(kind, 0)
        );
    }
}

/// Which part an error calls malformed.
fn malformed<E: Payload>(kind: &str, facts: &[u8], content: Option<&[u8]>) -> Option<&'static str> {
    match E::decode(kind, 1, facts, content) {
        Err(EventError::Malformed { kind: found, part }) if found == kind => Some(part),
        Ok(_) | Err(EventError::Malformed { .. } | EventError::Unknown { .. }) => None,
    }
}

#[test]
fn malformed_facts_are_named() {
    let bad: [&[u8]; 9] =
        [b"", b"{", b"null", b"7", b"\"text\"", b"[]", b"\xff\xfe", b"{} {}", b" {\"key\":1}"];
    for facts in bad {
        for (kind, _) in KeyRingEvent::CURRENT {
            assert_eq!(
                malformed::<KeyRingEvent>(kind, facts, None),
                Some("facts"),
                "{kind} {facts:?}"
            );
        }
        for (kind, _) in AccountEvent::CURRENT.iter().filter(|_| facts != b" {\"key\":1}") {
            assert_eq!(
                malformed::<AccountEvent>(kind, facts, None),
                Some("facts"),
                "{kind} {facts:?}"
            );
        }
    }
}

#[test]
fn facts_of_the_wrong_shape_are_malformed() {
    let key = "\"key\":\"0199c82c-c000-7000-8000-000000000201\"";
    let table = [
        ("KeyActivated", "{}".to_owned()),
        ("KeyActivated", "[\"0199c82c-c000-7000-8000-000000000201\"]".to_owned()),
        ("KeyActivated", "{\"key\":\"0199c82c\"}".to_owned()),
        ("KeyExpired", format!("{{{key}}}")),
        ("KeyExpired", format!("{{{key},\"expires_at\":-1}}")),
        ("KeyExpired", format!("{{{key},\"expires_at\":1.5}}")),
        ("KeyExpired", format!("{{{key},\"expires_at\":\"2025-10-09\"}}")),
        (
            "DefaultCleared",
            format!("{{{key},\"context_tag\":\"{}\",\"reason\":\"bored\"}}", "ab".repeat(16)),
        ),
        (
            "DefaultCleared",
            format!("{{{key},\"context_tag\":\"{}\",\"reason\":\"expired\"}}", "ab".repeat(15)),
        ),
        (
            "DefaultCleared",
            format!("{{{key},\"context_tag\":\"{}\",\"reason\":\"expired\"}}", "+b".repeat(16)),
        ),
        (
            "DefaultCleared",
            format!("{{{key},\"context_tag\":\"{}\",\"reason\":\"expired\"}}", "äb".repeat(11)),
        ),
    ];
    for (kind, facts) in table {
        assert_eq!(
            malformed::<KeyRingEvent>(kind, facts.as_bytes(), None),
            Some("facts"),
            "{kind} {facts}"
        );
    }
}

#[test]
fn malformed_content_is_named() {
    let bad: [&[u8]; 5] = [b"", b"null", b"[\"a\",\"b\"]", b"{\"name\":7}", b"\xff"];
    for content in bad {
        let facts = read("KeyRenamed", 1);
        assert_eq!(
            malformed::<KeyRingEvent>("KeyRenamed", facts.facts(), Some(content)),
            Some("content"),
            "{content:?}"
        );
        assert_eq!(
            malformed::<AccountEvent>("AccountRegistered", b"{\"roles\":[]}", Some(content)),
            Some("content")
        );
    }
}

#[test]
fn error_texts_hold_no_content() {
    let facts = read("KeyRenamed", 1);
    let error =
        KeyRingEvent::decode("KeyRenamed", 1, facts.facts(), Some(b"{\"nom\":\"private\"}"))
            .unwrap_err();
    assert_eq!(error.to_string(), "malformed content of event type KeyRenamed");
    assert!(!format!("{error:?}").contains("private"));
}

/// The bytes of an object with one more field in front and one behind.
fn with_extras(object: &[u8]) -> Vec<u8> {
    let object = std::str::from_utf8(object).unwrap();
    let inner = object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap();
    let inner = if inner.is_empty() { String::new() } else { format!(",{inner}") };
    format!("{{\"a_newer_fact\":{{\"deep\":[1]}}{inner},\"another\":true}}").into_bytes()
}

fn check_extras<E: Payload + PartialEq + Debug>() {
    for (kind, schema) in E::CURRENT.iter().chain(E::OLDER) {
        let golden = read(kind, *schema);
        let plain = E::decode(kind, *schema, golden.facts(), golden.content()).unwrap();
        let content = golden.content().map(with_extras);
        let extra =
            E::decode(kind, *schema, &with_extras(golden.facts()), content.as_deref()).unwrap();
        assert_eq!(extra, plain, "{kind}");
    }
}

#[test]
fn facts_and_content_that_are_not_known_are_ignored() {
    check_extras::<KeyRingEvent>();
    check_extras::<AccountEvent>();
    check_extras::<SystemEvent>();
}

#[test]
fn content_of_a_type_that_has_none_is_ignored() {
    let facts = read("KeyDeleted", 1);
    let event =
        KeyRingEvent::decode("KeyDeleted", 1, facts.facts(), Some(b"{\"name\":\"x\"}")).unwrap();
    assert_eq!(event.parts().unwrap().content, None);
}

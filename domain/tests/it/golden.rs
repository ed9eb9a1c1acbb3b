//! Stored shapes stay as they are: every event type and schema has one golden file, whose bytes are what the code writes and reads.
//! A file that is missing is made by `UPDATE_GOLDEN=1 cargo test -p claviger-domain golden::` (the first run may still fail: tests run
//! side by side); one that is there is never touched. Look at a new file before it is checked in: from then on it stays.

use crate::{example, example_run};
use claviger_domain::account::AccountEvent;
use claviger_domain::event::{EventError, Halved};
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

/// A golden file. The halves are kept as they were written, byte for byte.
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

fn all_types() -> impl Iterator<Item = (&'static str, u32)> {
    let runs = RunEvent::TYPES.iter().chain(RunControlEvent::TYPES);
    KeyRingEvent::TYPES
        .iter()
        .chain(AccountEvent::TYPES)
        .chain(SystemEvent::TYPES)
        .chain(runs)
        .copied()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a switch of this test alone, not a setting of the server"
)]
fn asked_to_update() -> bool {
    std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1")
}

/// Makes the file if it is missing and that was asked for.
fn make_missing(event: &impl Halved) {
    let halves = event.halves().unwrap();
    let path = folder().join(file_name(halves.kind, halves.schema));
    if !asked_to_update() || path.exists() {
        return;
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let content = halves
        .content
        .map(|content| format!(",\n  \"content\": {}", text(content)))
        .unwrap_or_default();
    std::fs::write(path, format!("{{\n  \"facts\": {}{content}\n}}\n", text(halves.facts)))
        .unwrap();
}

fn check<E: Halved + DomainEvent + PartialEq + Debug>(types: &[(&str, u32)], examples: Vec<E>) {
    let named: Vec<_> = examples
        .iter()
        .map(|event| (event.event_type(), event.event_version().parse().unwrap()))
        .collect();
    let expected: Vec<_> =
        types.iter().map(|(kind, schema)| ((*kind).to_owned(), *schema)).collect();
    assert_eq!(named, expected, "one example of every type, in order");
    for event in examples {
        make_missing(&event);
        let halves = event.halves().unwrap();
        let golden = read(halves.kind, halves.schema);
        let name = file_name(halves.kind, halves.schema);
        assert_eq!(event.subject(), halves.subject, "{name}");
        assert_eq!(String::from_utf8_lossy(&halves.facts), golden.facts.get(), "facts of {name}");
        assert_eq!(halves.content.as_deref(), golden.content(), "content of {name}");
        let decoded =
            E::from_halves(halves.kind, halves.schema, golden.facts(), golden.content()).unwrap();
        assert_eq!(decoded, event, "{name}");
    }
}

#[test]
fn key_ring_events_are_written_and_read_as_their_golden_files_say() {
    check(KeyRingEvent::TYPES, example::key_ring_events());
}

#[test]
fn account_events_are_written_and_read_as_their_golden_files_say() {
    check(AccountEvent::TYPES, example::account_events());
}

#[test]
fn system_events_are_written_and_read_as_their_golden_files_say() {
    check(SystemEvent::TYPES, example::system_events());
}

#[test]
fn run_events_are_written_and_read_as_their_golden_files_say() {
    check(RunEvent::TYPES, example_run::run_events());
    check(RunControlEvent::TYPES, example_run::run_control_events());
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

/// Facts as `FORMATS.md`, sections 2 and 7, want them: compact, integers only, nothing null, words in `snake_case`.
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
            fields.iter().for_each(|(name, field)| check_fact(field, &format!("{place}/{name}")))
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
fn erased<E: Halved>(kind: &str, schema: u32) -> E {
    E::from_halves(kind, schema, read(kind, schema).facts(), None).unwrap()
}

fn check_erased<E: Halved>(types: &[(&str, u32)]) {
    for (kind, schema) in types {
        let halves = erased::<E>(kind, *schema).halves().unwrap();
        assert_eq!(halves.facts, read(kind, *schema).facts(), "{kind}");
        assert_eq!(halves.content, None, "{kind}");
    }
}

#[test]
fn erased_events_keep_their_facts_and_have_no_content() {
    check_erased::<KeyRingEvent>(KeyRingEvent::TYPES);
    check_erased::<AccountEvent>(AccountEvent::TYPES);
    check_erased::<SystemEvent>(SystemEvent::TYPES);
    check_erased::<RunEvent>(RunEvent::TYPES);
    check_erased::<RunControlEvent>(RunControlEvent::TYPES);
}

#[test]
fn events_about_a_key_name_it_as_their_subject_and_account_events_name_none() {
    for event in example::key_ring_events() {
        assert_eq!(event.halves().unwrap().subject, Some(crate::given::key(1).0));
    }
    for event in example::account_events() {
        assert_eq!(event.halves().unwrap().subject, None);
    }
    for event in example::system_events() {
        assert_eq!(event.halves().unwrap().subject, None);
    }
}

#[test]
fn absent_optionals_are_left_out() {
    let (key, added) = ("0199c82c-c000-7000-8000-000000000201", crate::key_ring::added(1));
    let facts = String::from_utf8(added.halves().unwrap().facts).unwrap();
    assert_eq!(
        facts,
        format!(
            "{{\"key\":\"{key}\",\"fingerprint\":\"{}\",\"secret_version\":1}}",
            "01".repeat(32)
        )
    );
    let never = crate::key_ring::expiry_set(1, None).halves().unwrap();
    assert_eq!(String::from_utf8(never.facts).unwrap(), format!("{{\"key\":\"{key}\"}}"));
    let unnamed = crate::account::renamed(None).halves().unwrap();
    assert_eq!((unnamed.facts, unnamed.content), (b"{}".to_vec(), Some(b"{}".to_vec())));
}

// ---- what isn't ours ----

fn is_unknown<E: Halved>(kind: &str, schema: u32) -> bool {
    let result = E::from_halves(kind, schema, b"{}", None);
    matches!(result, Err(EventError::Unknown { kind: found, schema: at }) if found == kind && at == schema)
}

#[test]
fn unknown_type_and_unknown_schema_are_named() {
    assert!(is_unknown::<KeyRingEvent>("KeyPolished", 1));
    assert!(is_unknown::<KeyRingEvent>("AccountErased", 1));
    assert!(is_unknown::<AccountEvent>("KeyAdded", 1));
    assert!(is_unknown::<AccountEvent>("", 0));
    for (kind, schema) in KeyRingEvent::TYPES {
        assert!(
            is_unknown::<KeyRingEvent>(kind, schema + 1) && is_unknown::<KeyRingEvent>(kind, 0)
        );
    }
    for (kind, schema) in AccountEvent::TYPES {
        assert!(
            is_unknown::<AccountEvent>(kind, schema + 1) && is_unknown::<AccountEvent>(kind, 0)
        );
    }
}

/// Which half an error calls malformed.
fn malformed<E: Halved>(kind: &str, facts: &[u8], content: Option<&[u8]>) -> Option<&'static str> {
    match E::from_halves(kind, 1, facts, content) {
        Err(EventError::Malformed { kind: found, half }) if found == kind => Some(half),
        Ok(_) | Err(EventError::Malformed { .. } | EventError::Unknown { .. }) => None,
    }
}

#[test]
fn malformed_facts_are_named() {
    let bad: [&[u8]; 9] =
        [b"", b"{", b"null", b"7", b"\"text\"", b"[]", b"\xff\xfe", b"{} {}", b" {\"key\":1}"];
    for facts in bad {
        for (kind, _) in KeyRingEvent::TYPES {
            assert_eq!(
                malformed::<KeyRingEvent>(kind, facts, None),
                Some("facts"),
                "{kind} {facts:?}"
            );
        }
        for (kind, _) in AccountEvent::TYPES.iter().filter(|_| facts != b" {\"key\":1}") {
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
        KeyRingEvent::from_halves("KeyRenamed", 1, facts.facts(), Some(b"{\"nom\":\"private\"}"))
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

fn check_extras<E: Halved + PartialEq + Debug>(types: &[(&str, u32)]) {
    for (kind, schema) in types {
        let golden = read(kind, *schema);
        let plain = E::from_halves(kind, *schema, golden.facts(), golden.content()).unwrap();
        let content = golden.content().map(with_extras);
        let extra = E::from_halves(kind, *schema, &with_extras(golden.facts()), content.as_deref())
            .unwrap();
        assert_eq!(extra, plain, "{kind}");
    }
}

#[test]
fn facts_and_content_that_are_not_known_are_ignored() {
    check_extras::<KeyRingEvent>(KeyRingEvent::TYPES);
    check_extras::<AccountEvent>(AccountEvent::TYPES);
    check_extras::<SystemEvent>(SystemEvent::TYPES);
}

#[test]
fn content_of_a_type_that_has_none_is_ignored() {
    let facts = read("KeyDeleted", 1);
    let event =
        KeyRingEvent::from_halves("KeyDeleted", 1, facts.facts(), Some(b"{\"name\":\"x\"}"))
            .unwrap();
    assert_eq!(event.halves().unwrap().content, None);
}

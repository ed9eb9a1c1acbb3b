//! Global ids (`ops/docs/FORMATS.md`, section 5): base64url of `Type:uuid`, so that ids are unique
//! across all types.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use uuid::Uuid;

/// The type of object that an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types of the contract")]
pub enum IdKind {
    User,
    Account,
    ApiKey,
    Session,
    Event,
    Correlation,
    Orchestration,
    Step,
}

impl IdKind {
    const ALL: [Self; 8] = [
        Self::User,
        Self::Account,
        Self::ApiKey,
        Self::Session,
        Self::Event,
        Self::Correlation,
        Self::Orchestration,
        Self::Step,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Account => "Account",
            Self::ApiKey => "ApiKey",
            Self::Session => "Session",
            Self::Event => "Event",
            Self::Correlation => "Correlation",
            Self::Orchestration => "Orchestration",
            Self::Step => "Step",
        }
    }
}

/// Encodes a global id.
pub fn encode(kind: IdKind, id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}:{}", kind.name(), id.as_hyphenated()))
}

/// Decodes a global id of any type; `None` for text that [`encode`] would not have written.
pub fn decode(text: &str) -> Option<(IdKind, Uuid)> {
    if text.len() > 100 {
        return None;
    }
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (name, id) = plain.split_once(':')?;
    let kind = IdKind::ALL.into_iter().find(|kind| kind.name() == name)?;
    let id = Uuid::try_parse(id).ok()?;
    (encode(kind, id) == text).then_some((kind, id))
}

/// Decodes a global id of one type.
pub fn decode_as(kind: IdKind, text: &str) -> Option<Uuid> {
    decode(text).filter(|(found, _)| *found == kind).map(|(_, id)| id)
}

/// Replaces the ids inside an event's facts by global ids, at any depth: clients never see a bare
/// UUID of an object that they can query. An id that nobody can query (of the process that owns a
/// run) stays as it is.
pub fn translate_facts(facts: &mut Value) {
    match facts {
        Value::Object(fields) => {
            for (name, value) in fields {
                match kind_of(name) {
                    Some(kind) => translate(kind, value),
                    None => translate_facts(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(translate_facts),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The type of the ids in a field with this name.
fn kind_of(field: &str) -> Option<IdKind> {
    match field {
        "key" | "previous" | "named_key" => Some(IdKind::ApiKey),
        "session" | "sessions" => Some(IdKind::Session),
        "user" => Some(IdKind::User),
        "run" => Some(IdKind::Orchestration),
        "step" => Some(IdKind::Step),
        _ => None,
    }
}

fn translate(kind: IdKind, value: &mut Value) {
    if let Value::Array(items) = value {
        for item in items {
            translate(kind, item);
        }
    } else if let Some(id) = value.as_str().and_then(|text| Uuid::try_parse(text).ok()) {
        *value = Value::String(encode(kind, id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_domain::event::Payload as _;
    use claviger_domain::orchestration::{RunControlEvent, RunEvent};
    use std::path::Path;

    /// Compares the facts before and after: bare ids must have become global ids, at any depth, and
    /// everything else must be unchanged.
    fn compare(
        field: &str,
        before: &Value,
        after: &Value,
        changed: &mut Vec<(String, Uuid, IdKind)>,
    ) {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) => {
                assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
                before.iter().for_each(|(name, value)| compare(name, value, &after[name], changed));
            }
            (Value::Array(before), Value::Array(after)) => {
                assert_eq!(before.len(), after.len());
                before
                    .iter()
                    .zip(after)
                    .for_each(|(before, after)| compare(field, before, after, changed));
            }
            (before, after) if before == after => {}
            (before, after) => {
                let (kind, id) =
                    decode(after.as_str().unwrap()).expect("a changed value is a global id");
                assert_eq!(before.as_str().unwrap(), id.as_hyphenated().to_string());
                changed.push((field.to_owned(), id, kind));
            }
        }
    }

    #[test]
    fn every_id_in_the_facts_of_run_events_becomes_global_and_nothing_else_changes() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../domain/golden");
        let mut seen = std::collections::BTreeSet::new();
        for (kind, version) in RunEvent::CURRENT.iter().chain(RunControlEvent::CURRENT) {
            let file =
                std::fs::read_to_string(golden.join(format!("{kind}.{version}.json"))).unwrap();
            let facts = serde_json::from_str::<Value>(&file).unwrap()["facts"].clone();
            let (mut shown, mut changed) = (facts.clone(), Vec::new());
            translate_facts(&mut shown);
            compare("", &facts, &shown, &mut changed);
            for (field, _, kind) in &changed {
                let right = match field.as_str() {
                    "run" => IdKind::Orchestration,
                    "step" => IdKind::Step,
                    "key" | "named_key" => IdKind::ApiKey,
                    other => panic!("{other} is not a known id"),
                };
                assert_eq!(*kind, right, "{field}");
            }
            // The owner is a process, the only bare id that may stay.
            let ids = facts.to_string().matches("0199c82c-").count()
                - usize::from(facts.get("owner").is_some());
            assert_eq!(changed.len(), ids, "{kind}: {shown}");
            assert_eq!(facts.get("owner"), shown.get("owner"));
            seen.extend(changed.into_iter().map(|(field, ..)| field));
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["key", "named_key", "run", "step"]);
    }

    #[test]
    fn an_item_number_and_a_word_that_is_not_an_id_stay_unchanged() {
        let mut facts = serde_json::json!({ "run": "none", "item": 3, "step": null, "sessions": [Uuid::nil()], "key": { "at": 1 } });
        translate_facts(&mut facts);
        let session = encode(IdKind::Session, Uuid::nil());
        assert_eq!(
            facts,
            serde_json::json!({ "run": "none", "item": 3, "step": null, "sessions": [session], "key": { "at": 1 } })
        );
    }
}

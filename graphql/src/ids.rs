//! Global ids (`FORMATS.md`, section 5): base64url of `Type:uuid`, so that no two things of any type share one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use uuid::Uuid;

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types of the contract")]
pub enum IdKind {
    User,
    ApiKey,
    Session,
    Event,
    Correlation,
    Orchestration,
    Step,
}

impl IdKind {
    const ALL: [Self; 7] =
        [Self::User, Self::ApiKey, Self::Session, Self::Event, Self::Correlation, Self::Orchestration, Self::Step];

    const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::ApiKey => "ApiKey",
            Self::Session => "Session",
            Self::Event => "Event",
            Self::Correlation => "Correlation",
            Self::Orchestration => "Orchestration",
            Self::Step => "Step",
        }
    }
}

/// Writes a global id.
pub fn encode(kind: IdKind, id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}:{}", kind.name(), id.as_hyphenated()))
}

/// Reads a global id of any type; `None` for what [`encode`] wouldn't have written.
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

/// Reads a global id of one type.
pub fn decode_as(kind: IdKind, text: &str) -> Option<Uuid> {
    decode(text).filter(|(found, _)| *found == kind).map(|(_, id)| id)
}

/// Replaces the ids inside an event's facts by global ones, however deep: clients never see a bare UUID that names something of theirs.
/// What is nobody's to ask for (the process that owns a run) stays as it is.
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

/// What the ids in a field of this name name.
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

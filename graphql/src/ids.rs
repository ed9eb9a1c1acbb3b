//! Global ids (`FORMATS.md`, section 5): base64url of `Type:uuid`, so that no two things of any type share one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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
}

impl IdKind {
    const ALL: [Self; 5] = [Self::User, Self::ApiKey, Self::Session, Self::Event, Self::Correlation];

    const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::ApiKey => "ApiKey",
            Self::Session => "Session",
            Self::Event => "Event",
            Self::Correlation => "Correlation",
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

/// Replaces the ids inside an event's facts by global ones: clients never see a bare UUID that names something of theirs.
pub fn translate_facts(facts: &mut serde_json::Value) {
    let serde_json::Value::Object(fields) = facts else { return };
    for (name, value) in fields {
        let kind = match name.as_str() {
            "key" | "previous" => IdKind::ApiKey,
            "session" | "sessions" => IdKind::Session,
            "user" => IdKind::User,
            _ => continue,
        };
        for item in value.as_array_mut().map_or_else(Vec::new, |items| items.iter_mut().collect()) {
            translate(kind, item);
        }
        translate(kind, value);
    }
}

fn translate(kind: IdKind, value: &mut serde_json::Value) {
    if let Some(id) = value.as_str().and_then(|text| Uuid::try_parse(text).ok()) {
        *value = serde_json::Value::String(encode(kind, id));
    }
}

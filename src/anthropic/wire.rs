//! The JSON of the short calls: what is sent, and the minimum that a valid response must contain.

use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Turn {
    role: &'static str,
    content: &'static str,
}

/// The shortest conversation.
const HELLO: [Turn; 1] = [Turn { role: "user", content: "Hi" }];

#[derive(Serialize)]
struct ShortRequest<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    messages: &'a [Turn],
}

/// The body of a call that costs nothing (`count_tokens`, no `max_tokens`) or next to nothing (a
/// message).
pub(super) fn short_request(model: &str, max_tokens: Option<u32>) -> Vec<u8> {
    // Plain strings and a number: serialisation cannot fail.
    serde_json::to_vec(&ShortRequest { model, max_tokens, messages: &HELLO }).unwrap_or_default()
}

/// The answer of `count_tokens`.
#[derive(Deserialize)]
pub(super) struct TokenCount {
    pub(super) input_tokens: u64,
}

/// The answer of `messages`, as far as a key test needs it.
#[derive(Deserialize)]
pub(super) struct ShortMessage {
    #[serde(rename = "content")]
    pub(super) _content: Vec<serde::de::IgnoredAny>,
}

/// One page of `GET /v1/models`.
#[derive(Deserialize)]
pub(super) struct WirePage {
    pub(super) data: Vec<WireModel>,
    #[serde(default)]
    pub(super) has_more: bool,
    #[serde(default)]
    pub(super) last_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireModel {
    pub(super) id: String,
    #[serde(default)]
    pub(super) display_name: Option<String>,
    #[serde(default)]
    pub(super) created_at: Option<String>,
    #[serde(default)]
    pub(super) max_input_tokens: Option<u64>,
    #[serde(default)]
    pub(super) max_tokens: Option<u64>,
}

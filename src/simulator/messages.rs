//! Requests to `messages` and `count_tokens`, and the simulated model's answers.

use super::counts::Endpoint;
use super::script::{Refusal, Reply, Usage};
use super::structured::instance;
use serde_json::{Value, json};

/// A well-formed request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) stream: bool,
    max_tokens: u64,
    /// The text of the last turn.
    last: String,
    schema: Option<Value>,
    input_tokens: u64,
    /// System prompt and last turn, separated by a line feed.
    pub(super) prompt: String,
}

/// An answer before it is encoded, as JSON or as a stream.
pub(super) struct Said {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) text: String,
    pub(super) stop_reason: String,
    pub(super) usage: Usage,
}

impl Ask {
    /// Validates the request in the API's order and refuses it with the API's own messages.
    pub(super) fn read(body: &[u8], endpoint: Endpoint) -> Result<(Self, Value), Refusal> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|_| invalid("The request body is not valid JSON"))?;
        if !body.is_object() {
            return Err(invalid("Input should be a valid dictionary"));
        }
        let model = match body.get("model") {
            None => return Err(invalid("model: Field required")),
            Some(model) => model
                .as_str()
                .filter(|model| !model.is_empty())
                .ok_or_else(|| invalid("model: Input should be a valid string"))?,
        };
        let max_tokens = match (endpoint, body.get("max_tokens")) {
            (Endpoint::Messages, None) => return Err(invalid("max_tokens: Field required")),
            (Endpoint::Messages, Some(max)) => max
                .as_u64()
                .filter(|max| *max > 0)
                .ok_or_else(|| invalid("max_tokens: must be greater than or equal to 1"))?,
            (Endpoint::CountTokens | Endpoint::Models | Endpoint::Model | Endpoint::Other, _) => {
                u64::MAX
            }
        };
        let stream = match body.get("stream") {
            None => false,
            Some(stream) => stream
                .as_bool()
                .ok_or_else(|| invalid("stream: Input should be a valid boolean"))?,
        };
        let last = last_text(body.get("messages"))?;
        let schema = body.pointer("/output_config/format/schema").cloned();
        let system = body.get("system").map(text_of).unwrap_or_default();
        let turns = body.get("messages").map(|turns| turns.to_string().len()).unwrap_or_default();
        let input_tokens = tokens(&system).saturating_add(count(turns)).max(1);
        let prompt = format!("{system}\n{last}");
        Ok((
            Self {
                model: model.to_owned(),
                stream,
                max_tokens,
                last,
                schema,
                input_tokens,
                prompt,
            },
            body,
        ))
    }

    pub(super) fn token_count(&self) -> Value {
        json!({"input_tokens": self.input_tokens})
    }

    pub(super) fn answer(&self, reply: &Reply, id: String) -> Said {
        let text = reply.text.clone().unwrap_or_else(|| self.usual_text());
        let too_long = tokens(&text) > self.max_tokens;
        let kept = usize::try_from(self.max_tokens.saturating_mul(4)).unwrap_or(usize::MAX);
        let text: String = if too_long { text.chars().take(kept).collect() } else { text };
        let by_length = if too_long { "max_tokens" } else { "end_turn" };
        let stop_reason = reply.stop_reason.clone().unwrap_or_else(|| by_length.to_owned());
        let counted =
            || Usage { input: self.input_tokens, output: tokens(&text), ..Usage::default() };
        let usage = reply.usage.unwrap_or_else(counted);
        Said { id, model: self.model.clone(), text, stop_reason, usage }
    }

    fn usual_text(&self) -> String {
        if let Some(schema) = &self.schema {
            return instance(schema).to_string();
        }
        let heard: String = self.last.chars().take(160).collect();
        // Deliberately not only ASCII: this exposes a reader that splits characters.
        format!(
            "Simulated answer of {} to “{heard}”. Nothing was sent to Anthropic, and nothing was billed ✓",
            self.model
        )
    }
}

impl Said {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [{"type": "text", "text": self.text}],
            "stop_reason": self.stop_reason,
            "stop_sequence": null,
            "usage": usage(&self.usage),
        })
    }
}

/// `usage` as the API writes it.
pub(super) fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_creation,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_creation, "ephemeral_1h_input_tokens": 0},
        "output_tokens": usage.output,
        "service_tier": "standard",
    })
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(400, "invalid_request_error", message)
}

/// Validates the turns and returns the text of the last one.
fn last_text(turns: Option<&Value>) -> Result<String, Refusal> {
    let turns = turns.ok_or_else(|| invalid("messages: Field required"))?;
    let turns =
        turns.as_array().ok_or_else(|| invalid("messages: Input should be a valid list"))?;
    for (at, turn) in turns.iter().enumerate() {
        if !matches!(turn.get("role").and_then(Value::as_str), Some("user" | "assistant")) {
            return Err(invalid(&format!(
                "messages.{at}.role: Input should be 'user' or 'assistant'"
            )));
        }
        let filled = match turn.get("content") {
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(Value::Array(blocks)) => {
                !blocks.is_empty() && blocks.iter().all(|block| block.get("type").is_some())
            }
            _ => return Err(invalid(&format!("messages.{at}.content: Field required"))),
        };
        if !filled {
            return Err(invalid(&format!(
                "messages.{at}: all messages must have non-empty content"
            )));
        }
    }
    let last = turns.last().ok_or_else(|| invalid("messages: at least one message is required"))?;
    if last.get("role").and_then(Value::as_str) != Some("user") {
        return Err(invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    Ok(last.get("content").map(text_of).unwrap_or_default())
}

/// The text of a string or of content blocks.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| block.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// About four characters per token.
fn tokens(text: &str) -> u64 {
    count(text.chars().count())
}

fn count(chars: usize) -> u64 {
    u64::try_from(chars.div_ceil(4)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_requests_are_refused_in_the_apis_words() {
        let turns = r#""messages":[{"role":"user","content":"Hi"}]"#;
        for (body, expected) in [
            ("", "The request body is not valid JSON"),
            ("[]", "Input should be a valid dictionary"),
            ("{}", "model: Field required"),
            (r#"{"model":7}"#, "model: Input should be a valid string"),
            (r#"{"model":"m"}"#, "max_tokens: Field required"),
            (r#"{"model":"m","max_tokens":0}"#, "max_tokens: must be greater than or equal to 1"),
            (r#"{"model":"m","max_tokens":1}"#, "messages: Field required"),
            (
                r#"{"model":"m","max_tokens":1,"messages":{}}"#,
                "messages: Input should be a valid list",
            ),
            (
                r#"{"model":"m","max_tokens":1,"messages":[]}"#,
                "messages: at least one message is required",
            ),
            (
                r#"{"model":"m","max_tokens":1,"messages":[{"role":"system","content":"x"}]}"#,
                "messages.0.role: Input should be 'user' or 'assistant'",
            ),
            (
                r#"{"model":"m","max_tokens":1,"messages":[{"role":"user"}]}"#,
                "messages.0.content: Field required",
            ),
            (
                r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":" "}]}"#,
                "messages.0: all messages must have non-empty content",
            ),
            (
                r#"{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":"x"}]}"#,
                "This model does not support assistant message prefill. The conversation must end with a user message.",
            ),
            (
                &format!(r#"{{"model":"m","max_tokens":1,"stream":1,{turns}}}"#),
                "stream: Input should be a valid boolean",
            ),
        ] {
            let refusal = Ask::read(body.as_bytes(), Endpoint::Messages).unwrap_err();
            assert_eq!((refusal.status, refusal.message.as_str()), (400, expected));
        }
        assert!(
            Ask::read(format!(r#"{{"model":"m",{turns}}}"#).as_bytes(), Endpoint::CountTokens)
                .is_ok()
        );
    }

    #[test]
    fn max_tokens_bounds_the_answer() {
        let body = r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}"#;
        let (ask, _) = Ask::read(body.as_bytes(), Endpoint::Messages).unwrap();
        let said = ask.answer(&Reply::default(), "msg_1".to_owned());
        assert_eq!(
            (said.text.as_str(), said.stop_reason.as_str(), said.usage.output),
            ("Simu", "max_tokens", 1)
        );
        let said = ask.answer(&Reply::text("four"), "msg_1".to_owned());
        assert_eq!((said.text.as_str(), said.stop_reason.as_str()), ("four", "end_turn"));
    }
}

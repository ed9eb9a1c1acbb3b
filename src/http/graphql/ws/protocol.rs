//! The messages of `graphql-transport-ws`.

use super::close::Close;
use crate::http::edge::json_size;
use crate::http::graphql::from_json;
use async_graphql::{Request, Response, ServerError};
use claviger_domain::secret::SecretText;
use claviger_domain::text::without_mark;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_tungstenite::tungstenite::Message;

/// Most characters of an operation's id.
const MAX_ID: usize = 128;

/// A message from a client.
pub(super) enum FromClient {
    Init(Option<SecretText>),
    /// A ping with a token asks to continue under that token.
    Ping(Option<SecretText>),
    Pong,
    Subscribe(String, Box<Request>),
    Complete(String),
}

/// Bytes that the values of a message take once it is read.
pub(super) fn values(text: &str) -> Result<usize, Close> {
    json_size::of_values(text.as_bytes())
        .map_err(|_| Close::BadMessage("the message has too many values"))
}

pub(super) fn read(text: &str) -> Result<FromClient, Close> {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(without_mark(text)) else {
        return Err(Close::BadMessage("a message must be a JSON object"));
    };
    let kind = fields.remove("type");
    let Some(Value::String(kind)) = kind else {
        return Err(Close::BadMessage("a message must have a type"));
    };
    match kind.as_str() {
        "connection_init" => Ok(FromClient::Init(token(&mut fields)?)),
        "ping" => Ok(FromClient::Ping(token(&mut fields)?)),
        "pong" => Ok(FromClient::Pong),
        "complete" => Ok(FromClient::Complete(id(&mut fields)?)),
        "subscribe" => {
            let id = id(&mut fields)?;
            let request = fields.remove("payload").and_then(|payload| from_json(payload).ok());
            let request = request
                .ok_or(Close::BadMessage("the payload of subscribe is not a GraphQL request"))?;
            Ok(FromClient::Subscribe(id, Box::new(request)))
        }
        _ => Err(Close::BadMessage("unknown message type")),
    }
}

fn id(fields: &mut Map<String, Value>) -> Result<String, Close> {
    match fields.remove("id") {
        Some(Value::String(id))
            if !id.is_empty() && id.len() <= MAX_ID && !id.contains(char::is_control) =>
        {
            Ok(id)
        }
        _ => Err(Close::BadMessage("the message needs an id of 1 to 128 characters")),
    }
}

/// The fields in which clients send a token, without case, dashes and underscores, ours first.
const TOKENS: [&str; 6] =
    ["token", "authorization", "accesstoken", "authtoken", "bearertoken", "jwt"];

/// The objects in which some clients put those fields.
const AROUND: [&str; 7] =
    ["headers", "header", "auth", "authorization", "authentication", "context", "http"];

/// The token in a payload. Other fields belong to other clients' conventions and are ignored.
fn token(fields: &mut Map<String, Value>) -> Result<Option<SecretText>, Close> {
    match fields.remove("payload") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(payload)) => match payload.get("token") {
            None | Some(Value::Null | Value::String(_)) => Ok(token_in(payload, 2)),
            Some(_) => Err(Close::BadMessage("the token must be a string")),
        },
        Some(_) => Err(Close::BadMessage("the payload must be an object")),
    }
}

fn token_in(payload: Map<String, Value>, deep: u8) -> Option<SecretText> {
    let plain = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
    let (mut best, mut around) = (None, Vec::new());
    for (name, value) in payload {
        let name = plain(&name);
        if let Value::String(text) = value {
            let text = SecretText::new(text);
            let rank = TOKENS.iter().position(|known| *known == name);
            if let Some((rank, token)) = rank.zip(bearer_in(&text))
                && best.as_ref().is_none_or(|(before, _)| rank < *before)
            {
                best = Some((rank, token));
            }
        } else if let Value::Object(inner) = value
            && deep > 0
            && AROUND.contains(&name.as_str())
        {
            around.push(inner);
        }
    }
    best.map(|(_, token)| token)
        .or_else(|| around.into_iter().find_map(|inner| token_in(inner, deep - 1)))
}

/// The token in a text such as `Bearer TOKEN`, or the text itself; `None` for another scheme.
pub(super) fn bearer_in(text: &SecretText) -> Option<SecretText> {
    let text = text.expose().trim();
    let token = match text.split_once(char::is_whitespace) {
        Some((scheme, token)) => {
            Some(token.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))
        }
        None => Some(text).filter(|text| !text.eq_ignore_ascii_case("bearer")),
    }?;
    let is_one = !token.is_empty() && !token.contains(char::is_whitespace);
    is_one.then(|| SecretText::new(token.to_owned()))
}

#[derive(Serialize)]
struct Sent<'a, P> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<P>,
}

fn message<P: Serialize>(id: Option<&str>, kind: &'static str, payload: Option<P>) -> Message {
    // A response consists of maps with text keys, so serialization can't fail.
    Message::text(serde_json::to_string(&Sent { id, kind, payload }).unwrap_or_default())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExpiresAt {
    expires_at: String,
}

pub(super) fn ack(expires_at: String) -> Message {
    message(None, "connection_ack", Some(ExpiresAt { expires_at }))
}

pub(super) fn ping() -> Message {
    message::<()>(None, "ping", None)
}

pub(super) fn pong(expires_at: Option<String>) -> Message {
    message(None, "pong", expires_at.map(|expires_at| ExpiresAt { expires_at }))
}

pub(super) fn next(id: &str, response: &Response) -> Message {
    message(Some(id), "next", Some(response))
}

pub(super) fn error(id: &str, errors: &[ServerError]) -> Message {
    message(Some(id), "error", Some(errors))
}

pub(super) fn complete(id: &str) -> Message {
    message::<()>(Some(id), "complete", None)
}

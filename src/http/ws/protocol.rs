//! Messages of `graphql-transport-ws`.

use super::close::Close;
use crate::http::graphql::from_json;
use async_graphql::{Request, Response, ServerError};
use claviger_domain::secret::SecretText;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_tungstenite::tungstenite::Message;

/// Most characters of an operation's id.
const MAX_ID: usize = 128;

/// What a client says.
pub(super) enum FromClient {
    Init(Option<SecretText>),
    /// With a token it asks to go on under that.
    Ping(Option<SecretText>),
    Pong,
    Subscribe(String, Box<Request>),
    Complete(String),
}

/// Reads a message.
pub(super) fn read(text: &str) -> Result<FromClient, Close> {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(text) else {
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
                .ok_or(Close::BadMessage("the payload of subscribe is no GraphQL request"))?;
            Ok(FromClient::Subscribe(id, Box::new(request)))
        }
        _ => Err(Close::BadMessage("there is no such message from clients")),
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

/// The token in a payload. Other things in it are other clients' and left alone.
fn token(fields: &mut Map<String, Value>) -> Result<Option<SecretText>, Close> {
    match fields.remove("payload") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(mut payload)) => match payload.remove("token") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(token)) => Ok(Some(SecretText::new(token))),
            Some(_) => Err(Close::BadMessage("the token must be text")),
        },
        Some(_) => Err(Close::BadMessage("the payload must be an object")),
    }
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
    // What we answer is made of maps with text for keys: it can always be written.
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

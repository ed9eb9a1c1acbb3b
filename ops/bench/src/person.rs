//! A user of the measured server.

use crate::error::BenchError;
use crate::http::{Talk, post};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A signed-in user.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) token: String,
    key: String,
}

impl Person {
    /// Registers a user with `keys` keys.
    pub(super) async fn register(address: SocketAddr, keys: usize) -> Result<Self, BenchError> {
        let mut talk = Talk::open(address).await?;
        let query = "mutation($input: RegisterInput!) { register(input: $input) { accessToken } }";
        let input = json!({ "username": "bench", "email": "bench@example.org", "password": "a password for measuring" });
        let data = ask(&mut talk, None, query, &json!({ "input": input })).await?;
        let token = text(&data, "/register/accessToken")
            .ok_or(BenchError::Subject("it does not create an account"))?;
        let mut person = Self { token, key: String::new() };
        for n in 0..keys {
            let query = "mutation($input: AddKeyInput!) { addKey(input: $input) { key { id } } }";
            let secret = format!("sk-ant-api03-bench-{n:04}-{}AA", "x".repeat(60));
            let input =
                json!({ "name": format!("key {n} of a person who has some"), "secret": secret });
            let added =
                ask(&mut talk, Some(&person.token), query, &json!({ "input": input })).await?;
            person.key = text(&added, "/addKey/key/id")
                .ok_or(BenchError::Subject("it does not add a key"))?;
        }
        Ok(person)
    }

    /// The current cursor of the user's events.
    pub(super) async fn cursor(&self, talk: &mut Talk) -> Result<String, BenchError> {
        let data =
            ask(talk, Some(&self.token), "{ viewer { eventsCursor } }", &Value::Null).await?;
        text(&data, "/viewer/eventsCursor").ok_or(BenchError::Subject("it returns no cursor"))
    }

    /// The request that makes one event. It uses another name each time, because an unchanged name
    /// makes no event.
    pub(super) fn event(&self, n: usize) -> Vec<u8> {
        let query = "mutation($input: RenameKeyInput!) { renameKey(input: $input) { commit { position } } }";
        let input = json!({ "id": self.key, "name": format!("name {n}") });
        post(
            Some(&self.token),
            &json!({ "query": query, "variables": { "input": input } }).to_string(),
        )
    }
}

/// Sends a request and returns `data`.
async fn ask(
    talk: &mut Talk,
    token: Option<&str>,
    query: &str,
    variables: &Value,
) -> Result<Value, BenchError> {
    let body = json!({ "query": query, "variables": variables }).to_string();
    talk.ask(&post(token, &body)).await?;
    let answer: Value = serde_json::from_slice(&talk.body)
        .map_err(|_| BenchError::Subject("it does not respond in JSON"))?;
    if answer.get("errors").is_some() {
        return Err(BenchError::Subject("it refuses a request of the measurement"));
    }
    Ok(answer.get("data").cloned().unwrap_or_default())
}

/// A text somewhere in a response.
fn text(data: &Value, at: &str) -> Option<String> {
    data.pointer(at).and_then(Value::as_str).map(str::to_owned)
}

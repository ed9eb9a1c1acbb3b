//! A user of the GraphQL face, and what the face answered.

use serde_json::{Value, json};
use std::sync::Arc;

const SIGN_UP: &str = "mutation($input: RegisterInput!) { register(input: $input) { accessToken userErrors { code message } } }";

/// What a commit says of itself.
pub(super) const COMMIT: &str = "commit { position eventIds replayed } userErrors { code message }";

/// A signed-in user. Clones share the session and have connections of their own.
pub(crate) struct Account {
    http: reqwest::Client,
    url: String,
    token: Arc<str>,
}

impl Clone for Account {
    fn clone(&self) -> Self {
        Self { http: http(), url: self.url.clone(), token: Arc::clone(&self.token) }
    }
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

impl Account {
    /// Registers on a server.
    pub(crate) async fn register(url: &str, name: &str) -> Self {
        let nobody = Self { http: http(), url: url.to_owned(), token: Arc::from("") };
        let input = json!({"username": name, "email": format!("{name}@example.org"), "password": "correct horse battery"});
        let data = nobody.ask(SIGN_UP, json!({ "input": input })).await;
        let token = data["register"]["accessToken"].as_str().unwrap_or_else(|| panic!("{data}"));
        Self { token: Arc::from(token), ..nobody }
    }

    /// A user who has a token already.
    pub(crate) fn with_token(url: &str, token: &str) -> Self {
        Self { http: http(), url: url.to_owned(), token: Arc::from(token) }
    }

    /// The same user on a server that was started anew.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// The access token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Where the server answers.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The answer as it came, or nothing if none came.
    pub(crate) async fn try_ask(&self, query: &str, variables: &Value) -> Option<Value> {
        let body = json!({ "query": query, "variables": variables });
        let mut request = self.http.post(format!("{}/graphql", self.url)).json(&body);
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        request.send().await.ok()?.json().await.ok()
    }

    /// The data of an answer without top-level errors.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.try_ask(query, &variables).await.expect("an answer");
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"].take()
    }

    /// One mutation of keys: its payload, or nothing if no answer came.
    pub(super) async fn try_command(&self, order: &Order) -> Option<Payload> {
        let mut answer = self.try_ask(&order.query, &json!({ "input": order.input })).await?;
        assert!(answer.get("errors").is_none(), "{answer}");
        Some(Payload(answer["data"]["payload"].take()))
    }

    /// One mutation of keys: its payload.
    pub(super) async fn command(&self, order: &Order) -> Payload {
        self.try_command(order).await.expect("an answer")
    }

    /// Adds a key that is nobody's default; its id.
    pub(crate) async fn add_key(&self, name: &str, secret: &str) -> String {
        let input = json!({"name": name, "secret": secret, "makeDefault": false});
        let payload = self.command(&Order::new("addKey", "AddKeyInput", input)).await;
        payload.done().0["key"]["id"].as_str().unwrap().to_owned()
    }

    /// All events of the user above a position, oldest first: position and id.
    pub(super) async fn history_above(&self, position: u64) -> Vec<(u64, String)> {
        let query = "query($after: Cursor) { viewer { history(first: 100, after: $after) \
            { nodes { id position } pageInfo { hasNextPage endCursor } } } }";
        let (mut events, mut after) = (Vec::new(), Value::Null);
        loop {
            let data = self.ask(query, json!({ "after": after })).await;
            let page = &data["viewer"]["history"];
            let nodes = page["nodes"].as_array().unwrap().iter();
            let found: Vec<_> =
                nodes.map(|node| (number(&node["position"]), text(&node["id"]))).collect();
            let is_last = page["pageInfo"]["hasNextPage"] == false
                || found.iter().any(|(at, _)| *at <= position);
            events.extend(found.into_iter().filter(|(at, _)| *at > position));
            if is_last {
                events.reverse();
                return events;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    }
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A number that is written as text, because JSON's are too short.
pub(super) fn number(value: &Value) -> u64 {
    text(value).parse().unwrap()
}

/// A mutation of keys, ready to be sent, and sent again.
#[derive(Clone, Debug)]
pub(super) struct Order {
    query: String,
    pub(super) input: Value,
}

impl Order {
    pub(super) fn new(mutation: &str, input_type: &str, input: Value) -> Self {
        let object = if mutation == "deleteKey" { "deletedId" } else { "key { id }" };
        let query = format!(
            "mutation($input: {input_type}!) {{ payload: {mutation}(input: $input) {{ {object} {COMMIT} }} }}"
        );
        Self { query, input }
    }
}

/// The payload of a mutation of keys.
#[derive(Debug)]
pub(super) struct Payload(pub(super) Value);

impl Payload {
    /// The code of the refusal, if it was one.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.0["userErrors"][0]["code"].as_str()
    }

    #[track_caller]
    pub(super) fn done(self) -> Self {
        assert_eq!(self.refusal(), None, "{self:?}");
        self
    }

    pub(super) fn replayed(&self) -> bool {
        self.0["commit"]["replayed"] == true
    }

    /// The events committed, with their positions.
    pub(super) fn events(&self) -> Vec<(u64, String)> {
        let ids: Vec<String> =
            self.0["commit"]["eventIds"].as_array().unwrap().iter().map(text).collect();
        let last = number(&self.0["commit"]["position"]);
        let first = last + 1 - ids.len() as u64;
        (first..).zip(ids).collect()
    }
}

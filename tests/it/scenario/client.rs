//! A client of the GraphQL API.

use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

/// Fragments that any document may spread.
const FRAGMENTS: [(&str, &str); 5] = [
    (
        "...K",
        " fragment K on ApiKey { id name preview isActive isDefault defaultFor secretVersion version createdAt updatedAt \
         expiresAt lastTest { at level status authentic hasCredit modelAllowed model rateLimitedUntil organizationId workspaceId \
         upstreamStatus upstreamRequestId durationMs message } }",
    ),
    ("...C", " fragment C on Commit { position stream version eventIds replayed }"),
    (
        "...E",
        " fragment E on UserError { __typename code message path \
         ... on ConflictError { expectedVersion actualVersion existing } \
         ... on CredentialError { candidates { source chosen reason } } \
         ... on UpstreamError { status retryAfterMs requestId } }",
    ),
    ("...P", " fragment P on PageInfo { hasNextPage hasPreviousPage startCursor endCursor }"),
    (
        "...H",
        " fragment H on Event { id position stream version type schema at actor { userId role via } commandId correlationId \
         causationId facts content }",
    ),
];

/// The input of a mutation, and what its payload has beside errors.
fn shape(mutation: &str) -> (&'static str, &'static str) {
    const SESSION: &str = "accessToken refreshToken expiresAt viewer { id username }";
    const KEY: &str = "key { ...K } commit { ...C }";
    const RUN: &str = "orchestration { id state } commit { ...C }";
    match mutation {
        "register" => ("RegisterInput", SESSION),
        "login" => ("LoginInput", SESSION),
        "refreshSession" => ("RefreshSessionInput", SESSION),
        "changePassword" => ("ChangePasswordInput", SESSION),
        "logout" => ("LogoutInput", ""),
        "revokeSessions" => ("RevokeSessionsInput", ""),
        "addKey" => ("AddKeyInput", KEY),
        "testKey" => ("TestKeyInput", KEY),
        "setDefaultKey" => ("DefaultKeyInput", KEY),
        "clearDefaultKey" => ("ClearDefaultKeyInput", KEY),
        "activateKey" | "deactivateKey" => ("KeyInput", KEY),
        "renameKey" => ("RenameKeyInput", KEY),
        "replaceKeySecret" => ("ReplaceKeySecretInput", KEY),
        "setKeyExpiry" => ("SetKeyExpiryInput", KEY),
        "startOrchestration" => ("StartOrchestrationInput", RUN),
        "cancelOrchestration" | "pauseOrchestration" | "resumeOrchestration" => {
            ("OrchestrationInput", RUN)
        }
        "deleteKey" => ("KeyInput", "deletedId commit { ...C }"),
        other => panic!("no mutation {other}"),
    }
}

/// A response, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The data of an answer without errors.
    pub(super) fn data(&self) -> Value {
        let json = self.json();
        assert!(json.get("errors").is_none(), "{json}");
        json["data"].clone()
    }

    /// Code of the first top-level error.
    pub(super) fn code(&self) -> String {
        self.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends requests, with a token or without. Clones share what was sent.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Client {
    /// `from` is an address of this machine.
    pub(super) fn new(address: SocketAddr, from: IpAddr) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .user_agent("scenario/1")
            .local_address(from)
            .build()
            .unwrap();
        Self { http, url: format!("http://{address}/graphql"), token: None, sent: Arc::default() }
    }

    pub(super) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub(super) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    /// The documents sent.
    pub(super) fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }

    pub(super) async fn post(&self, body: impl Into<reqwest::Body>, content_type: &str) -> Answer {
        let accept = "application/graphql-response+json";
        let mut request = self
            .http
            .post(&self.url)
            .header("accept", accept)
            .header("content-type", content_type)
            .body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    pub(super) async fn send(&self, query: &str, variables: Value) -> Answer {
        let spread = FRAGMENTS
            .iter()
            .filter(|(spread, _)| query.contains(spread))
            .map(|(_, fragment)| *fragment);
        let document: String = std::iter::once(query).chain(spread).collect();
        self.sent.lock().unwrap().push(document.clone());
        self.post(
            json!({ "query": document, "variables": variables }).to_string(),
            "application/json",
        )
        .await
    }

    /// The data that a query gives, which must have no errors.
    pub(super) async fn ask(&self, query: &str, variables: Value) -> Value {
        self.send(query, variables).await.data()
    }

    /// The answer to a mutation.
    pub(super) async fn send_mutation(&self, mutation: &str, input: Value) -> Answer {
        let (of_type, fields) = shape(mutation);
        let selection = format!("{fields} userErrors {{ ...E }} clientMutationId");
        let query = format!(
            "mutation($input: {of_type}!) {{ {mutation}(input: $input) {{ {selection} }} }}"
        );
        self.send(&query, json!({ "input": input })).await
    }

    /// The payload of a mutation, done or refused.
    pub(super) async fn run(&self, mutation: &str, input: Value) -> Value {
        self.send_mutation(mutation, input).await.data()[mutation].clone()
    }

    /// The payload of a mutation that must be done.
    pub(super) async fn done(&self, mutation: &str, input: Value) -> Value {
        let payload = self.run(mutation, input).await;
        assert_eq!(payload["userErrors"], json!([]), "{mutation}");
        payload
    }

    /// Adds a key that is nobody's default; its id.
    pub(super) async fn add(&self, name: &str, secret: &str) -> String {
        let payload = self
            .done("addKey", json!({ "name": name, "secret": secret, "makeDefault": false }))
            .await;
        payload["key"]["id"].as_str().unwrap().to_owned()
    }

    /// A key as it is now.
    pub(super) async fn key(&self, id: &str) -> Value {
        self.ask("query($id: ID!) { key(id: $id) { ...K } }", json!({ "id": id })).await["key"]
            .clone()
    }

    /// Types of the viewer's last events, newest first.
    pub(super) async fn last_events(&self, count: usize) -> Vec<String> {
        let query = "query($count: Int) { viewer { history(first: $count) { nodes { type } } } }";
        let data = self.ask(query, json!({ "count": count })).await;
        let nodes = data["viewer"]["history"]["nodes"].as_array().unwrap();
        nodes.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }
}

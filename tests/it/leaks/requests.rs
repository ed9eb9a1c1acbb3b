//! Requests that carry secrets, and everything that comes back.

use super::canaries::{Needles, api_key, random};
use crate::harness::client::{Client, plain};
use crate::harness::dice::Dice;
use serde_json::{Value, json};

/// A client that remembers the secrets that it sent and every answer.
pub(super) struct Teller {
    pub(super) dice: Dice,
    client: Client,
    /// The newest refresh token.
    pub(super) refresh: String,
    pub(super) secrets: Vec<String>,
    /// Every answer, head and body, with where it came from. Tokens that a payload is for are taken
    /// out.
    heard: Vec<(String, String)>,
}

impl Teller {
    pub(super) fn new(url: &str, seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            client: Client::new(url),
            refresh: String::new(),
            secrets: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Speaks HTTP/2 from now on, whose implementation logs headers of its own accord.
    pub(super) fn speak_http2(&mut self) {
        let http = plain().http2_prior_knowledge().build().unwrap();
        self.client = Client::over(http, self.client.url());
    }

    /// A fresh API key.
    pub(super) fn key(&mut self) -> String {
        let key = api_key(&mut self.dice);
        self.secrets.push(key.clone());
        key
    }

    /// A fresh password.
    pub(super) fn password(&mut self) -> String {
        let password = random(&mut self.dice, 24);
        self.secrets.push(password.clone());
        password
    }

    pub(super) fn move_to(&mut self, url: &str) {
        self.client = self.client.clone().moved_to(url);
    }

    /// The GraphQL endpoint.
    pub(super) fn url(&self) -> String {
        format!("{}/graphql", self.client.url())
    }

    /// A request to anywhere, signed in if we are.
    pub(super) fn request(&self, method: reqwest::Method, url: &str) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }

    pub(super) fn post(&self) -> reqwest::RequestBuilder {
        self.client.to_graphql()
    }

    /// Sends, remembers head and body.
    pub(super) async fn send(&mut self, what: &str, request: reqwest::RequestBuilder) -> Value {
        let response = request.send().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let head = format!("{} {:?}", response.status(), response.headers());
        let body = response.text().await.unwrap();
        let mut json: Value = serde_json::from_str(&body).unwrap_or_default();
        let session = self.keep_tokens(&mut json);
        let shown = if session { json.to_string() } else { body };
        self.heard.push((what.to_owned(), format!("{head}\n{shown}")));
        json
    }

    /// Takes the tokens of a session payload out, to be used and searched for.
    fn keep_tokens(&mut self, answer: &mut Value) -> bool {
        let payload = answer
            .pointer_mut("/data/session")
            .filter(|payload| payload["accessToken"].is_string());
        let Some(payload) = payload else { return false };
        let (access, refresh) = (payload["accessToken"].take(), payload["refreshToken"].take());
        let (access, refresh) =
            (access.as_str().unwrap().to_owned(), refresh.as_str().unwrap().to_owned());
        // What comes before is public: algorithm, ids of user and session.
        self.secrets.push(access.rsplit_once('.').unwrap().1.to_owned());
        self.secrets.push(refresh.get(refresh.len() - 40..).unwrap().to_owned());
        self.client = self.client.with_token(&access);
        self.refresh = refresh;
        true
    }

    pub(super) async fn ask(&mut self, what: &str, query: &str, variables: Value) -> Value {
        let request = self.post().json(&json!({ "query": query, "variables": variables }));
        self.send(what, request).await
    }

    /// A mutation of sessions.
    pub(super) async fn session(
        &mut self,
        mutation: &str,
        input_type: &str,
        input: Value,
    ) -> Value {
        let query = format!(
            "mutation($input: {input_type}!) {{ session: {mutation}(input: $input) \
             {{ accessToken refreshToken viewer {{ id }} userErrors {{ code message path }} }} }}"
        );
        self.ask(mutation, &query, json!({ "input": input })).await
    }

    /// A mutation of keys; its payload.
    pub(super) async fn command(
        &mut self,
        mutation: &str,
        input_type: &str,
        input: Value,
    ) -> Value {
        let object = if mutation == "deleteKey" { "deletedId" } else { KEY };
        let query = format!(
            "mutation($input: {input_type}!) {{ payload: {mutation}(input: $input) \
             {{ {object} userErrors {{ code message path }} commit {{ eventIds }} }} }}"
        );
        let mut answer = self.ask(mutation, &query, json!({ "input": input })).await;
        answer["data"]["payload"].take()
    }

    /// Adds a key; its id.
    pub(super) async fn add(&mut self, name: &str, secret: &str) -> String {
        let payload =
            self.command("addKey", "AddKeyInput", json!({"name": name, "secret": secret})).await;
        payload["key"]["id"].as_str().unwrap_or_else(|| panic!("{payload}")).to_owned()
    }

    pub(super) fn needles(&self) -> Needles {
        Needles::of(&self.secrets)
    }

    /// No answer held a secret.
    pub(super) fn assert_heard_nothing(&self) {
        let needles = self.needles();
        let leaks =
            self.heard.iter().filter(|(_, text)| needles.found_in(text.as_bytes()).is_some());
        let leaks: Vec<_> = leaks.map(|(what, _)| what).collect();
        assert!(leaks.is_empty(), "answers hold secrets: {leaks:?}");
    }
}

const KEY: &str = "key { id name preview isActive defaultFor secretVersion \
    lastTest { status authentic hasCredit modelAllowed organizationId workspaceId upstreamStatus upstreamRequestId message } \
    history(first: 50) { nodes { type facts content } } }";

//! Requests that carry secrets, and everything that comes back.

use super::canaries::{Needles, api_key, random};
use crate::endurance::Dice;
use crate::endurance::account::http;
use serde_json::{Value, json};

/// A client that remembers what it said in secret and what it was told.
pub(super) struct Teller {
    pub(super) dice: Dice,
    http: reqwest::Client,
    url: String,
    token: Option<String>,
    /// The newest refresh token.
    pub(super) refresh: String,
    pub(super) secrets: Vec<String>,
    /// Every answer, head and body, with where it came from. Tokens that a payload is for are taken out.
    heard: Vec<(String, String)>,
}

impl Teller {
    pub(super) fn new(url: &str, seed: u64) -> Self {
        let url = format!("{url}/graphql");
        Self {
            dice: Dice::new(seed),
            http: http(),
            url,
            token: None,
            refresh: String::new(),
            secrets: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Speaks HTTP/2 from now on, whose implementation logs headers of its own accord.
    pub(super) fn speak_http2(&mut self) {
        self.http = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
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
        self.url = format!("{url}/graphql");
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A request to anywhere, signed in if we are.
    pub(super) fn request(&self, method: reqwest::Method, url: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(super) fn post(&self) -> reqwest::RequestBuilder {
        self.request(reqwest::Method::POST, &self.url)
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
        (self.token, self.refresh) = (Some(access), refresh);
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

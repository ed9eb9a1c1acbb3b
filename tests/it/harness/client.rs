//! The HTTP and GraphQL client of the tests.

use super::mutations::with_fragments;
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Method, RequestBuilder};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

pub(crate) const MODERN: &str = "application/graphql-response+json";

/// A client that uses no proxy, follows no redirect and shows bodies as they were sent.
pub(crate) fn plain() -> ClientBuilder {
    let client = reqwest::Client::builder().no_proxy().redirect(Policy::none());
    client.no_gzip().no_deflate().no_brotli()
}

pub(crate) fn http() -> reqwest::Client {
    plain().build().unwrap()
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.expect("an answer")
    }

    /// The answer, if one comes whole.
    pub(crate) async fn try_of(request: RequestBuilder) -> Option<Self> {
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Self { status, headers, text: response.text().await.ok()? })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The data of an answer without errors.
    pub(crate) fn data(&self) -> Value {
        let mut json = self.json();
        assert!(json.get("errors").is_none(), "{json}");
        json["data"].take()
    }

    /// Code of the first top-level error; empty where there is none.
    pub(crate) fn code(&self) -> String {
        self.first_error()["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Message of the first top-level error.
    pub(crate) fn message(&self) -> String {
        self.first_error()["message"].as_str().unwrap_or_default().to_owned()
    }

    fn first_error(&self) -> Value {
        serde_json::from_str::<Value>(&self.text).unwrap_or_default()["errors"][0].clone()
    }
}

/// A user of a server's GraphQL face, with a token or without. Clones share connections and the
/// list of what was sent.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<Arc<str>>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Client {
    /// A client that isn't signed in, at a server.
    pub(crate) fn new(url: &str) -> Self {
        Self::over(http(), url)
    }

    /// The same with a user agent, and from an address of this machine.
    pub(crate) fn from_address(url: &str, from: IpAddr) -> Self {
        Self::over(plain().user_agent("scenario/1").local_address(from).build().unwrap(), url)
    }

    /// The same by this client.
    pub(crate) fn over(http: reqwest::Client, url: &str) -> Self {
        Self { http, url: url.to_owned(), token: None, sent: Arc::default() }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(Arc::from(token)), ..self.clone() }
    }

    /// The same user by connections of their own.
    pub(crate) fn apart(&self) -> Self {
        Self { http: http(), ..self.clone() }
    }

    /// The same user at another server, or at one that was started again.
    pub(crate) fn at(&self, url: &str) -> Self {
        self.apart().moved_to(url)
    }

    /// The same by the connections that there are, where the server is the same.
    pub(crate) fn moved_to(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
    }

    /// Where the server answers.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The access token.
    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    /// The documents sent.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }

    /// A request to anywhere, signed in where the user is.
    pub(crate) fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A request to the GraphQL endpoint.
    pub(crate) fn to_graphql(&self) -> RequestBuilder {
        self.request(Method::POST, &format!("{}/graphql", self.url))
    }

    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>, content_type: &str) -> Answer {
        let request = self.to_graphql().header("accept", MODERN);
        Answer::of(request.header("content-type", content_type).body(body)).await
    }

    /// The answer as it came, or nothing if none came.
    pub(crate) async fn try_send(&self, query: &str, variables: &Value) -> Option<Answer> {
        let document = with_fragments(query);
        self.sent.lock().unwrap().push(document.clone());
        let body = json!({ "query": document, "variables": variables });
        Answer::try_of(self.to_graphql().header("accept", MODERN).json(&body)).await
    }

    pub(crate) async fn send(&self, query: &str, variables: Value) -> Answer {
        self.try_send(query, &variables).await.expect("an answer")
    }

    /// The data of an answer, which must have no top-level errors.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Value {
        self.send(query, variables).await.data()
    }
}

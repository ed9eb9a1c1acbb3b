//! A small GraphQL client: the demo talks to the server as anybody else would.

use super::CliError;
use claviger_domain::code::ErrorCode;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A client of one server.
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

fn broken(what: &str) -> CliError {
    CliError::new(ErrorCode::Internal, format!("the demo's own request failed: {what}"))
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Result<Self, CliError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| broken("no HTTP client"))?;
        Ok(Self { http, url: format!("http://{address}/graphql"), token: None })
    }

    /// Requests after this are the user's whose token it is.
    pub(super) fn sign_in(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    /// Asks; answers with `data` as long as there are neither errors nor refusals in it.
    pub(super) async fn ask(&self, query: &str, variables: Value) -> Result<Value, CliError> {
        let mut request = self.http.post(&self.url).json(&json!({ "query": query, "variables": variables }));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(|error| broken(&error.without_url().to_string()))?;
        let mut body: Value = answer.json().await.map_err(|_| broken("an answer that isn't JSON"))?;
        if let Some(message) = body.pointer("/errors/0/message").and_then(Value::as_str) {
            return Err(broken(message));
        }
        let data = body.get_mut("data").map(Value::take).ok_or_else(|| broken("an answer without data"))?;
        let mut refusals =
            data.as_object().into_iter().flatten().filter_map(|(_, payload)| payload.pointer("/userErrors/0/message"));
        match refusals.find_map(Value::as_str) {
            Some(message) => Err(broken(message)),
            None => Ok(data),
        }
    }
}

//! Requests with a single response, and the client that sends them.

use super::events::Events;
use super::trouble::Trouble;
use crate::anthropic::client::is_this_machine;
use crate::cli::with_causes;
use claviger_domain::code::ErrorCode;
use claviger_domain::secret::SecretText;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use std::time::Duration;

/// Timeout for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a server may stay silent. An event stream has a heartbeat every 15 seconds.
const SILENCE: Duration = Duration::from_mins(1);

/// How often an idempotent request is repeated after its connection broke.
const REPEATS: usize = 5;

const LOGIN: &str = "mutation($name: String!, $password: Secret!) { login(input: { usernameOrEmail: $name, password: $password }) \
    { accessToken refreshToken userErrors { code message } } }";
const REFRESH: &str = "mutation($token: Secret!) { refreshSession(input: { refreshToken: $token }) \
    { accessToken refreshToken userErrors { code message } } }";
const LOGOUT: &str = "mutation { logout(input: {}) { userErrors { code message } } }";

/// A client of one server.
pub(in super::super) struct Client {
    http: reqwest::Client,
    url: reqwest::Url,
    access: Option<SecretText>,
    /// The refresh token of a session that this client started and must end.
    refresh: Option<SecretText>,
}

fn refused(code: ErrorCode, message: impl Into<String>) -> Trouble {
    Trouble::Refused { code, message: message.into() }
}

impl Client {
    /// A client of the server at this address, whose GraphQL endpoint is `/graphql` below it. What it
    /// sends lets everybody act as the user who reads it on the way, so another machine must be
    /// reached by https, unless the user allows http.
    pub(in super::super) fn new(base: &str, allow_http: bool) -> Result<Self, Trouble> {
        let wrong = "--url is invalid: write an address such as http://127.0.0.1:8005, \
                     without a user name or password in it";
        let mut url =
            reqwest::Url::parse(base.trim()).map_err(|_| refused(ErrorCode::Validation, wrong))?;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none();
        if !is_plain || url.cannot_be_a_base() {
            return Err(refused(ErrorCode::Validation, wrong));
        }
        if url.scheme() == "http" && !allow_http && !is_this_machine(&url) {
            let readable = "--url names another machine by http://, and everybody on the way could read \
                            the password or token: write https://, or allow it with --allow-http";
            return Err(refused(ErrorCode::Validation, readable));
        }
        url.set_query(None);
        url.set_fragment(None);
        if !url.path().ends_with("/graphql") {
            let path = format!("{}/graphql", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        let http = reqwest::Client::builder()
            .no_gzip()
            .no_deflate()
            .no_brotli()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .build()
            .map_err(|_| refused(ErrorCode::Internal, "cannot create an HTTP client"))?;
        Ok(Self { http, url, access: None, refresh: None })
    }

    /// Sends later requests with this token.
    pub(in super::super) fn sign_in(&mut self, token: SecretText) {
        self.access = Some(token);
    }

    pub(in super::super) async fn log_in(
        &mut self,
        name: &str,
        password: &SecretText,
    ) -> Result<(), Trouble> {
        let data = self.ask(LOGIN, json!({ "name": name, "password": password.expose() })).await?;
        self.take_tokens(&data, "/login")
    }

    fn take_tokens(&mut self, data: &Value, of: &str) -> Result<(), Trouble> {
        let token = |name: &str| {
            let text = data.pointer(&format!("{of}/{name}")).and_then(Value::as_str);
            text.map(|text| SecretText::new(text.to_owned()))
                .ok_or_else(|| Trouble::Foreign("no token".to_owned()))
        };
        (self.access, self.refresh) = (Some(token("accessToken")?), Some(token("refreshToken")?));
        Ok(())
    }

    /// Ends the session that this client started, if any.
    pub(in super::super) async fn log_out(&mut self) {
        if self.refresh.take().is_some() {
            // If the server is gone there is nothing to do; the session expires by itself.
            drop(self.send(LOGOUT, &json!({})).await);
        }
    }

    /// Sends a request. Returns `data` if it contains neither errors nor refusals.
    pub(in super::super) async fn ask(
        &mut self,
        query: &str,
        variables: Value,
    ) -> Result<Value, Trouble> {
        match self.send(query, &variables).await {
            Err(trouble) if trouble.is(ErrorCode::Unauthenticated) && self.renew().await? => {
                self.send(query, &variables).await
            }
            answer => answer,
        }
    }

    /// Sends an idempotent request, and repeats it while connections break.
    pub(in super::super) async fn ask_surely(
        &mut self,
        query: &str,
        variables: Value,
    ) -> Result<Value, Trouble> {
        for _ in 1..REPEATS {
            match self.ask(query, variables.clone()).await {
                Err(Trouble::Lost(_)) => {}
                answer => return answer,
            }
        }
        self.ask(query, variables).await
    }

    /// Subscribes. The stream doesn't borrow the client.
    pub(in super::super) async fn subscribe(
        &mut self,
        query: &str,
        variables: &Value,
    ) -> Result<Events, Trouble> {
        match self.open(query, variables).await {
            Err(trouble) if trouble.is(ErrorCode::Unauthenticated) && self.renew().await? => {
                self.open(query, variables).await
            }
            events => events,
        }
    }

    /// Renews the tokens of a session that this client started. Returns whether there is one.
    async fn renew(&mut self) -> Result<bool, Trouble> {
        let Some(refresh) = self.refresh.clone() else { return Ok(false) };
        self.access = None;
        let data = self.send(REFRESH, &json!({ "token": refresh.expose() })).await?;
        self.take_tokens(&data, "/refreshSession").map(|()| true)
    }

    fn post(
        &self,
        accept: &'static str,
        query: &str,
        variables: &Value,
    ) -> reqwest::RequestBuilder {
        let body = json!({ "query": query, "variables": variables });
        let mut request = self.http.post(self.url.clone()).header(ACCEPT, accept).json(&body);
        let bearer = self
            .access
            .as_ref()
            .and_then(|token| HeaderValue::try_from(format!("Bearer {}", token.expose())).ok());
        if let Some(mut bearer) = bearer {
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        request
    }

    fn failed(&self, error: reqwest::Error) -> Trouble {
        // A request that never left may be repeated safely.
        let is_unsent = error.is_connect();
        let reason = with_causes(&error.without_url());
        if is_unsent {
            Trouble::Unreachable { url: self.url.to_string(), reason }
        } else {
            Trouble::Lost(reason)
        }
    }

    async fn send(&self, query: &str, variables: &Value) -> Result<Value, Trouble> {
        let answer = self
            .post("application/json", query, variables)
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        let status = answer.status();
        let bytes = answer
            .bytes()
            .await
            .map_err(|error| Trouble::Lost(with_causes(&error.without_url())))?;
        let mut body: Value = serde_json::from_slice(&bytes)
            .map_err(|_| Trouble::Foreign(format!("status {status}")))?;
        data_of(&mut body).ok_or_else(|| Trouble::Foreign(format!("status {status}")))?
    }

    async fn open(&self, query: &str, variables: &Value) -> Result<Events, Trouble> {
        let sent = self.post("text/event-stream", query, variables).send().await;
        let answer = sent.map_err(|error| self.failed(error))?;
        let kind = answer
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        if answer.status().is_success() && kind.starts_with("text/event-stream") {
            return Ok(Events::new(answer));
        }
        let foreign = Trouble::Foreign(format!("status {}", answer.status()));
        let bytes = answer
            .bytes()
            .await
            .map_err(|error| Trouble::Lost(with_causes(&error.without_url())))?;
        let refusal = serde_json::from_slice(&bytes).ok().and_then(|mut body| data_of(&mut body));
        Err(refusal.and_then(Result::err).unwrap_or(foreign))
    }
}

/// `data` of a response, or its first error or refusal; `None` if it isn't a GraphQL response.
pub(super) fn data_of(body: &mut Value) -> Option<Result<Value, Trouble>> {
    if let Some(error) = body.pointer("/errors/0") {
        return Some(Err(Trouble::refused(error)));
    }
    let data = body.get_mut("data").map(Value::take)?;
    let mut refusals = data
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, payload)| payload.pointer("/userErrors/0"));
    let refusal = refusals.next().map(Trouble::refused);
    Some(refusal.map_or(Ok(data), Err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_lies_below_the_address() {
        for (base, expected) in [
            ("http://127.0.0.1:8005", Some("http://127.0.0.1:8005/graphql")),
            (" https://example.org/claviger/ ", Some("https://example.org/claviger/graphql")),
            ("http://localhost:1/graphql?x=1#y", Some("http://localhost:1/graphql")),
            ("localhost:8005", None),
            ("ftp://example.org", None),
            ("http://ada:secret@example.org", None),
            ("", None),
        ] {
            let url = Client::new(base, false).ok().map(|client| client.url.to_string());
            assert_eq!(url.as_deref(), expected, "{base}");
        }
    }

    #[test]
    fn nothing_goes_to_another_machine_in_clear_text_unless_the_user_allows_it() {
        for (base, is_safe) in [
            ("http://127.0.0.1:8005", true),
            ("http://localhost", true),
            ("http://[::1]:8005", true),
            ("https://keys.example.org", true),
            ("http://keys.example.org", false),
            ("http://10.0.0.5:8005", false),
            ("http://localhost.example.org", false),
            ("HTTP://keys.example.org/graphql", false),
        ] {
            assert!(Client::new(base, true).is_ok(), "{base}");
            let refused = Client::new(base, false).err();
            assert_eq!(refused.is_none(), is_safe, "{base}");
            assert!(refused.is_none_or(|trouble| trouble.is(ErrorCode::Validation)), "{base}");
        }
    }

    #[test]
    fn responses_are_distinguished_from_refusals() {
        let data = |text: &str| data_of(&mut serde_json::from_str(text).unwrap());
        assert_eq!(data(r#"{"data":{"a":1}}"#), Some(Ok(json!({"a": 1}))));
        let error =
            data(r#"{"data":null,"errors":[{"message":"m","extensions":{"code":"NOT_FOUND"}}]}"#);
        assert_eq!(error, Some(Err(refused(ErrorCode::NotFound, "m"))));
        let refusal =
            data(r#"{"data":{"start":{"userErrors":[{"code":"VALIDATION","message":"m"}]}}}"#);
        assert_eq!(refusal, Some(Err(refused(ErrorCode::Validation, "m"))));
        assert_eq!(data(r#"{"hello":"world"}"#), None);
    }
}

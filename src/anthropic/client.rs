//! The only HTTP client that ever holds a user's key.
//!
//! It follows no redirect (on a redirect to another host, reqwest would send `x-api-key` along),
//! ignores the environment's proxies, never retries a request by itself, reads no more of a
//! response than it needs, and keeps addresses and upstream text out of its errors.

use super::error::{Malformed, Origin, UpstreamFailure};
use super::models::{ModelInfo, ModelPage};
use super::proxy::UpstreamProxy;
use super::report::Reports;
use super::wire::{ShortMessage, TokenCount, WirePage, short_request};
use bytes::Bytes;
use claviger_domain::secret::SecretText;
use claviger_domain::text::ModelId;
use claviger_domain::timestamp::Timestamp;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, Url, redirect};
use serde::de::DeserializeOwned;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

pub const ANTHROPIC_BASE_URL: &str = "https://api.anthropic.com";

/// The API version sent with every request; it is supported everywhere.
pub const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Upper bound of a short call's response body, in bytes.
pub const SHORT_ANSWER_MAX: usize = 1024 * 1024;

/// Upper bound of any response body, streams included, in bytes.
pub const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// Maximum number of model pages requested, 1,000 models each. It ends the loop should upstream's
/// list never end.
const MODEL_PAGES_MAX: usize = 10;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The upstream's address and timeouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnthropicConfig {
    /// The URL before `/v1/…`; a `/v1` at its end is passed over. Plain `http` only for this machine, unless `allow_plaintext`.
    pub base_url: String,
    pub connect_timeout: Duration,
    /// For a whole short call, connection and response included.
    pub call_timeout: Duration,
    /// Allows keys to be sent unencrypted over a network: for a simulated upstream in a container
    /// network only.
    pub allow_plaintext: bool,
    /// Everything goes through it.
    pub proxy: Option<UpstreamProxy>,
}

impl Default for AnthropicConfig {
    fn default() -> Self {
        Self {
            base_url: ANTHROPIC_BASE_URL.to_owned(),
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            allow_plaintext: false,
            proxy: None,
        }
    }
}

/// Why the client could not be built. Never holds the address, which may contain a password.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "the upstream address is invalid: write it as https://host, without user, query or fragment"
    )]
    BaseUrl,
    /// A page that people read.
    #[error(
        "the upstream address is a page for people, not the API: use https://api.anthropic.com, or leave it out"
    )]
    ForPeople,
    /// Keys would cross a network unencrypted.
    #[error(
        "the upstream address is plain http on another machine: use https, since keys would be sent unencrypted"
    )]
    Plaintext,
    /// TLS setup failed; usually the system has no certificate authorities.
    #[error(
        "the http client cannot be set up: check that the system's certificate authorities are installed (ca-certificates)"
    )]
    Setup(#[source] reqwest::Error),
}

/// A successful response with its parsed body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// In practice 200.
    pub status: u16,
    pub origin: Origin,
    pub body: T,
}

impl<T> Answer<T> {
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { status: self.status, origin: self.origin, body: change(self.body) }
    }
}

/// Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct AnthropicClient {
    http: reqwest::Client,
    base: Url,
    call_timeout: Duration,
    pub(super) reports: Reports,
}

impl fmt::Debug for AnthropicClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnthropicClient")
            .field("call_timeout", &self.call_timeout)
            .finish_non_exhaustive()
    }
}

/// A key on its way into a header. The header value shares these bytes instead of copying them, so
/// that they are wiped when the request is dropped.
struct KeyBytes(SecretText);

impl AsRef<[u8]> for KeyBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().trim().as_bytes()
    }
}

/// A call whose response is read as a whole.
struct Call<'a> {
    method: Method,
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    body: Option<Vec<u8>>,
}

impl AnthropicClient {
    /// Builds the client and sends nothing.
    ///
    /// # Errors
    /// [`ClientError`] for an unusable address, or if TLS cannot be set up.
    pub fn new(config: &AnthropicConfig) -> Result<Self, ClientError> {
        let base = base_url(&config.base_url)?;
        let plaintext = base.scheme() == "http";
        let proxy = config.proxy.as_ref();
        // Through a proxy on another machine, keys would leave this one to come back to it.
        let stays = is_this_machine(&base) && proxy.is_none_or(UpstreamProxy::is_this_machine);
        if plaintext && !config.allow_plaintext && !stays {
            return Err(ClientError::Plaintext);
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("claviger/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            // An unanswered call may have been billed: the callers account for cost, so they decide
            // whether to retry.
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            .connect_timeout(config.connect_timeout);
        // A simulated upstream needs no certificate authorities, and a bare container has none.
        let is_bare = plaintext && !proxy.is_some_and(UpstreamProxy::is_encrypted);
        builder = if is_bare { builder.tls_certs_only([]) } else { builder };
        builder = builder.https_only(!plaintext);
        let setup = |error: reqwest::Error| ClientError::Setup(error.without_url());
        if let Some(proxy) = proxy {
            // After `no_proxy`, which forgets those of the environment and all before it.
            builder = builder.proxy(proxy.for_client().map_err(setup)?);
        }
        let http = builder.build().map_err(setup)?;
        let (call_timeout, reports) = (config.call_timeout, Reports::default());
        Ok(Self { http, base, call_timeout, reports })
    }

    /// The same client, whose failed calls are counted.
    #[must_use]
    pub fn reporting(self, reports: Reports) -> Self {
        Self { reports, ..self }
    }

    /// `GET /v1/models?limit=1`: shows that the key is genuine and costs nothing.
    ///
    /// # Errors
    /// [`UpstreamFailure`].
    pub async fn first_model(
        &self,
        secret: &SecretText,
        now: Timestamp,
    ) -> Result<Answer<()>, UpstreamFailure> {
        Ok(self.models_page(secret, 1, None, now).await?.map(|_| ()))
    }

    /// One page of `GET /v1/models`, newest models first: `limit` of them (1 to 1,000), starting
    /// after the id `after`.
    ///
    /// # Errors
    /// [`UpstreamFailure`].
    pub async fn models_page(
        &self,
        secret: &SecretText,
        limit: u16,
        after: Option<&ModelId>,
        now: Timestamp,
    ) -> Result<Answer<ModelPage>, UpstreamFailure> {
        let limit = limit.clamp(1, 1000).to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(after.map(|after| ("after_id", after.as_str())));
        let call = Call { method: Method::GET, path: &["v1", "models"], query: &query, body: None };
        Ok(self.short_call::<WirePage>(secret, call, now).await?.map(ModelPage::from_wire))
    }

    /// All models that this key may see, newest first: fetched page by page, at most 10,000.
    ///
    /// # Errors
    /// [`UpstreamFailure`] of the first page that failed; a partial list is never returned.
    pub async fn models(
        &self,
        secret: &SecretText,
        now: Timestamp,
    ) -> Result<Answer<Vec<ModelInfo>>, UpstreamFailure> {
        let mut page = self.models_page(secret, 1000, None, now).await?;
        let mut models = Vec::new();
        for _ in 1..MODEL_PAGES_MAX {
            models.append(&mut page.body.models);
            let Some(after) = page.body.next.take() else { break };
            page = self.models_page(secret, 1000, Some(&after), now).await?;
        }
        models.append(&mut page.body.models);
        Ok(page.map(|_| models))
    }

    /// `POST /v1/messages/count_tokens` with a message of one word: shows whether the key may use
    /// the model and costs nothing.
    ///
    /// # Errors
    /// [`UpstreamFailure`].
    pub async fn count_tokens(
        &self,
        secret: &SecretText,
        model: &ModelId,
        now: Timestamp,
    ) -> Result<Answer<u64>, UpstreamFailure> {
        let body = Some(short_request(model.as_str(), None));
        let call = Call {
            method: Method::POST,
            path: &["v1", "messages", "count_tokens"],
            query: &[],
            body,
        };
        Ok(self.short_call::<TokenCount>(secret, call, now).await?.map(|count| count.input_tokens))
    }

    /// `POST /v1/messages` for an answer of one token: the only proof of credit.
    ///
    /// # Errors
    /// [`UpstreamFailure`].
    pub async fn one_token(
        &self,
        secret: &SecretText,
        model: &ModelId,
        now: Timestamp,
    ) -> Result<Answer<()>, UpstreamFailure> {
        let body = Some(short_request(model.as_str(), Some(1)));
        let call = Call { method: Method::POST, path: &["v1", "messages"], query: &[], body };
        Ok(self.short_call::<ShortMessage>(secret, call, now).await?.map(|_| ()))
    }

    async fn short_call<T: DeserializeOwned>(
        &self,
        secret: &SecretText,
        call: Call<'_>,
        now: Timestamp,
    ) -> Result<Answer<T>, UpstreamFailure> {
        let called = self.call(secret, call, now).await;
        called.inspect_err(|failure| self.reports.short_call(failure))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        secret: &SecretText,
        call: Call<'_>,
        now: Timestamp,
    ) -> Result<Answer<T>, UpstreamFailure> {
        let started = Instant::now();
        let request = self.request(secret, call)?.timeout(self.call_timeout);
        let response =
            request.send().await.map_err(|error| UpstreamFailure::from_transport(&error, None))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let origin = Origin::of(&headers);
        let body = read_capped(response, SHORT_ANSWER_MAX).await;
        if !status.is_success() {
            // The status counts even if the body was cut off.
            let now = now.plus_ms(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
            let body = body.unwrap_or_default();
            return Err(UpstreamFailure::from_answer(status.as_u16(), &headers, &body, now));
        }
        let unusable = |kind| UpstreamFailure::malformed(kind, status.as_u16(), origin.clone());
        let body = body.map_err(|error| match error {
            ReadError::TooBig => unusable(Malformed::TooBig),
            ReadError::Transport(error) => {
                let failure = UpstreamFailure::from_transport(&error, Some(status.as_u16()));
                UpstreamFailure { origin: origin.clone(), ..failure }
            }
        })?;
        if !may_be_json(&headers) {
            return Err(unusable(Malformed::Foreign));
        }
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
        let body = serde_json::from_slice(body).map_err(|_| {
            let is_theirs = origin.request_id.is_some();
            unusable(if is_theirs { Malformed::Unreadable } else { Malformed::Foreign })
        })?;
        Ok(Answer { status: status.as_u16(), origin, body })
    }

    /// Builds a request without sending it.
    pub(super) fn post(
        &self,
        secret: &SecretText,
        path: &[&str],
        body: Vec<u8>,
    ) -> Result<RequestBuilder, UpstreamFailure> {
        self.request(secret, Call { method: Method::POST, path, query: &[], body: Some(body) })
    }

    fn request(
        &self,
        secret: &SecretText,
        call: Call<'_>,
    ) -> Result<RequestBuilder, UpstreamFailure> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let key = Bytes::from_owner(KeyBytes(secret.clone()));
        let mut key =
            HeaderValue::from_maybe_shared(key).map_err(|_| UpstreamFailure::unsendable())?;
        key.set_sensitive(true);
        let request = self
            .http
            .request(call.method, url)
            .header(X_API_KEY, key)
            .header(VERSION, ANTHROPIC_VERSION)
            // A compressed stream may come in gulps. One that comes all the same is read.
            .header(ACCEPT_ENCODING, "identity");
        Ok(match call.body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body),
            None => request,
        })
    }
}

fn base_url(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text.trim()).map_err(|_| ClientError::BaseUrl)?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host() && plain;
    if !usable {
        return Err(ClientError::BaseUrl);
    }
    if url.host_str().is_some_and(is_for_people) {
        return Err(ClientError::ForPeople);
    }
    Ok(without_version(url))
}

/// Pages for people at Anthropic, which are easily taken for the API's address.
fn is_for_people(host: &str) -> bool {
    let host = host.strip_prefix("www.").unwrap_or(host);
    matches!(host, "anthropic.com" | "claude.ai" | "claude.com")
        || ["console", "platform", "docs", "status", "support"].iter().any(|name| {
            let rest = host.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            matches!(rest, Some("anthropic.com" | "claude.com" | "claude.ai"))
        })
}

/// Every path begins with `/v1`, so an address that ends with it, or names a whole endpoint, means
/// what stands before.
fn without_version(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    let path = path.strip_suffix("/messages").filter(|rest| rest.ends_with("/v1")).unwrap_or(&path);
    if let Some(before) = path.strip_suffix("/v1") {
        url.set_path(before);
    }
    url
}

/// Whether a URL names this machine: `localhost` or a loopback address.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A missing content type is accepted, another one is not.
fn may_be_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_none_or(|value| {
        value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("json"))
    })
}

pub(super) enum ReadError {
    TooBig,
    Transport(reqwest::Error),
}

/// Reads the body up to `max` bytes and drops the connection beyond that, even if the announced
/// length is smaller.
pub(super) async fn read_capped(mut response: Response, max: usize) -> Result<Vec<u8>, ReadError> {
    let announced =
        response.content_length().and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
    if announced > max {
        return Err(ReadError::TooBig);
    }
    let mut body = Vec::with_capacity(announced);
    while let Some(chunk) = response.chunk().await.map_err(ReadError::Transport)? {
        if body.len().saturating_add(chunk.len()) > max {
            return Err(ReadError::TooBig);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(base_url: &str) -> Result<AnthropicClient, ClientError> {
        AnthropicClient::new(&AnthropicConfig {
            base_url: base_url.to_owned(),
            ..AnthropicConfig::default()
        })
    }

    #[test]
    fn the_address_may_name_the_version_and_must_be_the_apis() {
        for (given, expected) in [
            ("https://api.anthropic.com", "https://api.anthropic.com/v1/models"),
            ("https://api.anthropic.com/", "https://api.anthropic.com/v1/models"),
            ("https://api.anthropic.com/v1", "https://api.anthropic.com/v1/models"),
            ("https://api.anthropic.com/v1/", "https://api.anthropic.com/v1/models"),
            ("https://api.anthropic.com/v1/messages", "https://api.anthropic.com/v1/models"),
            ("https://gateway.example/anthropic/v1", "https://gateway.example/anthropic/v1/models"),
            ("https://gateway.example/anthropic", "https://gateway.example/anthropic/v1/models"),
            ("https://gateway.example/v1beta", "https://gateway.example/v1beta/v1/models"),
            ("https://gateway.example/messages", "https://gateway.example/messages/v1/models"),
        ] {
            let call =
                Call { method: Method::GET, path: &["v1", "models"], query: &[], body: None };
            let request = client(given).unwrap().request(&SecretText::new("k".to_owned()), call);
            assert_eq!(request.unwrap().build().unwrap().url().as_str(), expected, "{given}");
        }
        for page in [
            "https://console.anthropic.com",
            "https://claude.ai",
            "https://platform.claude.com/v1",
            "https://www.anthropic.com",
        ] {
            assert!(matches!(client(page), Err(ClientError::ForPeople)), "{page}");
        }
    }

    #[test]
    fn keys_are_sent_over_tls_or_to_this_machine_only() {
        for good in
            ["http://127.0.0.1:1", "http://localhost:8080/", "http://[::1]:1", " http://127.0.0.1 "]
        {
            assert!(client(good).is_ok(), "{good}");
        }
        for plain in ["http://10.0.0.1", "http://localhost.example.org", "http://simulator:8080"] {
            assert!(matches!(client(plain), Err(ClientError::Plaintext)), "{plain}");
        }
        for bad in [
            "",
            "api",
            "ftp://127.0.0.1",
            "https://user@h",
            "https://u:p@h",
            "https://h/?a=b",
            "https://h/#f",
            "file:///x",
        ] {
            assert!(matches!(client(bad), Err(ClientError::BaseUrl)), "{bad}");
        }
    }

    #[test]
    fn a_request_hides_the_key_and_keeps_the_path_of_the_base() {
        let secret = SecretText::new(" sk-ant-api03-abcdefghijklmnop ".to_owned());
        let call = || Call {
            method: Method::GET,
            path: &["v1", "models"],
            query: &[("limit", "1")],
            body: None,
        };
        for (base, expected) in [
            ("http://127.0.0.1:1", "http://127.0.0.1:1/v1/models?limit=1"),
            ("http://127.0.0.1:1/", "http://127.0.0.1:1/v1/models?limit=1"),
            ("http://127.0.0.1:1/anthropic/", "http://127.0.0.1:1/anthropic/v1/models?limit=1"),
        ] {
            let request = client(base).unwrap().request(&secret, call()).unwrap().build().unwrap();
            assert_eq!(request.url().as_str(), expected);
            let key = &request.headers()["x-api-key"];
            assert!(key.is_sensitive() && key == "sk-ant-api03-abcdefghijklmnop");
            assert_eq!(request.headers()["anthropic-version"], "2023-06-01");
            assert!(!format!("{request:?}").contains("sk-ant-"));
        }
    }

    #[test]
    fn a_secret_that_is_no_valid_header_value_is_not_sent() {
        let secret = SecretText::new("sk-ant-\r\nx: y".to_owned());
        let call = Call { method: Method::GET, path: &["v1"], query: &[], body: None };
        let failure = client("http://127.0.0.1:1").unwrap().request(&secret, call).err().unwrap();
        assert!(!failure.sent);
    }
}

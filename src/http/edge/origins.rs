//! Which web pages may use this server: those of its own origin, and those the operator names.

use super::problem::Problem;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use claviger_domain::code::ErrorCode;
use reqwest::Url;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// How long a browser may cache a preflight's response; no browser caches it for longer.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(2);

/// Origins besides our own, in the form browsers send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origins(BTreeSet<String>);

/// An entry that isn't an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write origins as https://app.example.org, separated by commas; * is not allowed, because it \
     would admit every page"
)]
pub struct OriginsError;

impl FromStr for Origins {
    type Err = OriginsError;

    fn from_str(text: &str) -> Result<Self, OriginsError> {
        let named = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        named
            .map(|origin| canonical(origin).ok_or(OriginsError))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl TryFrom<String> for Origins {
    type Error = OriginsError;

    fn try_from(text: String) -> Result<Self, OriginsError> {
        text.parse()
    }
}

/// Scheme, host and port as browsers write them; `None` if the text isn't an origin.
fn canonical(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let bare = matches!(url.path(), "/" | "") && url.query().is_none() && url.fragment().is_none();
    let plain = url.username().is_empty() && url.password().is_none();
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    (bare && plain && is_web).then(|| url.origin().ascii_serialization())
}

/// The host name by which the client addressed this server.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    uri.authority()
        .map(axum::http::uri::Authority::as_str)
        .or_else(|| headers.get(header::HOST)?.to_str().ok())
}

impl Origins {
    /// Whether no origin is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hosts of these origins.
    pub(super) fn hosts(&self) -> impl Iterator<Item = String> {
        let host = |origin: &String| Url::parse(origin).ok()?.host_str().map(str::to_owned);
        self.0.iter().filter_map(host)
    }

    /// Whether the request comes from an admitted page, or from no page at all. Applies to every
    /// request that changes something, and to `WebSockets`, which no preflight protects:
    /// [`Origins::refuse_foreign`] covers both.
    pub fn permits(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let mut values = headers.get_all(header::ORIGIN).iter();
        let Some(value) = values.next() else { return true };
        let Some(origin) =
            value.to_str().ok().and_then(canonical).filter(|_| values.next().is_none())
        else {
            return false;
        };
        // The host was checked before (`OwnHosts`), so it is one of the server's. Behind a proxy that
        // ends TLS, requests arrive in clear text, so the server's own origin
        // may have either scheme.
        let own = host(headers, uri).is_some_and(|host| {
            ["http", "https"]
                .iter()
                .any(|scheme| canonical(&format!("{scheme}://{host}")).as_ref() == Some(&origin))
        });
        own || self.0.contains(&origin)
    }

    /// Refuses a request by a page of a foreign origin that would change something or open a
    /// WebSocket.
    ///
    /// # Errors
    /// 403.
    pub fn refuse_foreign(&self, request: &Parts) -> Result<(), Problem> {
        let is_safe = matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let is_upgrade = request.headers.contains_key(header::UPGRADE);
        if (is_safe && !is_upgrade) || self.permits(&request.headers, &request.uri) {
            return Ok(());
        }
        let message = "pages of this origin may not use this server: its operator can add the origin to \
                       CLAVIGER_ORIGINS";
        Err(Problem::new(ErrorCode::Forbidden, message))
    }

    /// Lets browsers show responses to pages of the named origins. Tokens travel in a header, never
    /// in cookies, so credentials aren't allowed.
    pub(super) fn cors(&self) -> CorsLayer {
        let named = self.0.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(named))
            .allow_methods([Method::GET, Method::POST, Method::DELETE, Method::PUT])
            // Whatever a page of a named origin wants to send: tracing, metering and client libraries
            // add headers of their own, and none of them means anything here that a program without
            // a browser couldn't send as well.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([
                header::ETAG,
                header::RETRY_AFTER,
                header::WWW_AUTHENTICATE,
                header::ALLOW,
                HeaderName::from_static("x-request-id"),
            ])
            .max_age(PREFLIGHT_MAX_AGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_in_every_spelling_and_nothing_else_is() {
        let origins: Origins =
            " https://App.Example.org:443/ ,http://localhost:3000,".parse().unwrap();
        assert_eq!(
            origins.0,
            BTreeSet::from([
                "https://app.example.org".to_owned(),
                "http://localhost:3000".to_owned()
            ])
        );
        assert_eq!("".parse(), Ok(Origins::default()));
        for bad in [
            "*",
            "null",
            "app.example.org",
            "https://a.org/path",
            "https://u:p@a.org",
            "ftp://a.org",
            "https://a.org?x",
            "file:///",
        ] {
            assert_eq!(bad.parse::<Origins>(), Err(OriginsError), "{bad}");
        }
    }

    #[test]
    fn pages_of_the_servers_own_and_of_named_origins_are_admitted() {
        let origins: Origins = "https://app.example.org".parse().unwrap();
        for (origin, host, permitted) in [
            (None, "keys.example.org", true),
            (Some("https://keys.example.org"), "keys.example.org", true),
            (Some("http://keys.example.org"), "keys.example.org", true),
            (Some("https://keys.example.org"), "KEYS.example.org:443", true),
            (Some("http://127.0.0.1:8005"), "127.0.0.1:8005", true),
            (Some("http://[::1]:8005"), "[::1]:8005", true),
            (Some("https://app.example.org"), "keys.example.org", true),
            (Some("http://app.example.org"), "keys.example.org", false),
            (Some("https://app.example.org:8443"), "keys.example.org", false),
            (Some("https://evil.example.org"), "keys.example.org", false),
            (Some("https://keys.example.org.evil.org"), "keys.example.org", false),
            (Some("http://127.0.0.1:8006"), "127.0.0.1:8005", false),
            (Some("null"), "keys.example.org", false),
            (Some(""), "keys.example.org", false),
            (Some("null"), "null", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(
                origins.permits(&headers, &Uri::from_static("/graphql")),
                permitted,
                "{origin:?} at {host}"
            );
            headers.append(header::ORIGIN, HeaderValue::from_static("https://app.example.org"));
            let twice = origin.is_some();
            assert_eq!(
                origins.permits(&headers, &Uri::from_static("/graphql")),
                !twice,
                "{origin:?} and another"
            );
        }
    }
}

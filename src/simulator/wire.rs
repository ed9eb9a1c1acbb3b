//! Responses in the API's own format.

use super::script::Refusal;
use super::upstream::Upstream;
use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use claviger_domain::timestamp::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// One call on its way through the handlers.
pub(super) struct Caller {
    pub(super) upstream: Upstream,
    /// Empty if there is none.
    pub(super) key: String,
    pub(super) request_id: String,
    pub(super) now: Timestamp,
}

impl Caller {
    /// An error object with its headers.
    pub(super) fn refuse(&self, refusal: &Refusal) -> Response<Body> {
        let mut error = json!({"type": refusal.kind, "message": refusal.message});
        if let (Some(code), Some(error)) = (refusal.code, error.as_object_mut()) {
            error.insert("details".to_owned(), json!({"error_code": code}));
        }
        let body = json!({"type": "error", "error": error, "request_id": self.request_id});
        let mut response = self.json(refusal.status, &body);
        let headers = response.headers_mut();
        // An unknown key belongs to no organisation.
        if refusal.status == 401 {
            headers.remove("anthropic-organization-id");
            headers.remove("anthropic-workspace-id");
        } else if refusal.status == 429 {
            self.limits(headers, refusal.spent);
        }
        if let Some(wait) = &refusal.retry_after {
            put(headers, "retry-after", wait);
        }
        put(
            headers,
            "x-should-retry",
            if matches!(refusal.status, 408 | 409 | 429 | 500..) { "true" } else { "false" },
        );
        response
    }

    /// JSON with the headers of every response.
    pub(super) fn json(&self, status: u16, body: &Value) -> Response<Body> {
        self.whole(status, "application/json", body.to_string().into_bytes())
    }

    /// A body of known length with the headers of every response.
    pub(super) fn whole(
        &self,
        status: u16,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Response<Body> {
        let length = body.len();
        let mut response = self.head(status, content_type, Body::from(body));
        // Set here, because the body is wrapped later and then does not expose its length.
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        response
    }

    /// Any body with the headers of every response.
    pub(super) fn head(
        &self,
        status: u16,
        content_type: &'static str,
        body: Body,
    ) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        put(headers, "request-id", &self.request_id);
        let scenario =
            super::keys::Scenario::of_key(&self.key).map_or("none", super::keys::Scenario::name);
        // Keys of one scenario share an organisation, like the keys of one customer; each has its
        // own workspace.
        put(headers, "anthropic-organization-id", &id_of(scenario, true));
        put(headers, "anthropic-workspace-id", &format!("wrkspc_{}", id_of(&self.key, false)));
        response
    }

    /// The rate-limit headers.
    pub(super) fn limits(&self, headers: &mut HeaderMap, spent: bool) {
        let wait = if spent { self.upstream.config().retry_after_s } else { 1 };
        let reset = self.now.plus_ms(wait.saturating_mul(1000)).to_string();
        for (group, limit, left) in [
            ("requests", "50", if spent { "0" } else { "49" }),
            ("tokens", "80000", "79000"),
            ("input-tokens", "50000", "49000"),
            ("output-tokens", "30000", "30000"),
        ] {
            put(headers, &format!("anthropic-ratelimit-{group}-limit"), limit);
            put(headers, &format!("anthropic-ratelimit-{group}-remaining"), left);
            put(headers, &format!("anthropic-ratelimit-{group}-reset"), &reset);
        }
    }
}

/// Sets a header; an invalid one is left out.
pub(super) fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

/// A made-up id, always the same for the same text without revealing it: as a UUID, or as 24
/// characters.
fn id_of(text: &str, uuid: bool) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in hash {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    if !uuid {
        return hex.get(..24).unwrap_or_default().to_owned();
    }
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

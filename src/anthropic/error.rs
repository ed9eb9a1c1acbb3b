//! Every way in which a call can fail, in one classification that key tests and runs share.
//!
//! Nothing here carries upstream's own words: they may echo the request. Nor does it carry the
//! transport's error, whose text may contain an address; only its [`io::ErrorKind`] is kept.

pub use super::headers::{Origin, RateLimits, Window};
use super::headers::{clean_id, limited_until, retry_after_ms};
use crate::sse::decode::TooBig;
use claviger_domain::timestamp::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::error::Error;
use std::{fmt, io};
use time::{Date, Month, OffsetDateTime, Time};

/// The kind of failure, which decides how to react.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The key is malformed, revoked or expired.
    Authentication,
    /// No credit behind the key.
    Billing,
    /// The organisation is on hold.
    OnHold,
    /// The key may not use the model or the resource.
    Permission,
    /// The model (see [`UpstreamFailure::names_model`]) or the path does not exist for this key.
    NotFound,
    /// Too many requests or tokens at the moment.
    RateLimited {
        /// When the limit ends, if the response includes it.
        until: Option<Timestamp>,
    },
    /// The organisation's or workspace's spend limit is reached.
    SpendLimit {
        /// The first of the next month, UTC: these responses carry no `retry-after`.
        until: Timestamp,
    },
    /// Our request was invalid.
    InvalidRequest,
    /// 409.
    Conflict,
    /// 413.
    TooLarge,
    /// 529: Anthropic is overloaded, for all customers.
    Overloaded,
    /// 5xx.
    Server,
    /// No connection, or one that ended before a response.
    Network,
    /// No complete response within the time allowed.
    Timeout,
    /// A response that Anthropic's API would not send.
    Malformed(Malformed),
}

/// Why a response could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It ended too early.
    Cut,
    /// It was longer than the limit.
    TooBig,
    /// Not JSON, or not of the expected shape.
    Unreadable,
    /// A redirect: never followed, since the key would be sent along.
    Redirect,
}

impl From<TooBig> for Malformed {
    fn from(_: TooBig) -> Self {
        Self::TooBig
    }
}

/// A call without a response, or with an error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFailure {
    pub class: FailureClass,
    /// Upstream's HTTP status; `None` without a response.
    pub status: Option<u16>,
    pub origin: Origin,
    /// How long upstream asks to wait, in milliseconds; at most a day.
    pub retry_after_ms: Option<u64>,
    /// `x-should-retry`, which Anthropic's own client library gives precedence over everything
    /// else.
    pub should_retry: Option<bool>,
    /// Whether the body was Anthropic's error object and its message mentions a model. Tells an
    /// unknown model from a wrong address.
    pub names_model: bool,
    /// Whether the request may have arrived. `false` only if no connection was established, so that
    /// nothing can have been billed.
    pub sent: bool,
    /// The operating system's error on the connection.
    pub io: Option<io::ErrorKind>,
}

impl UpstreamFailure {
    /// Classifies a response whose status is not 2xx, or a stream that sent an `error` event after
    /// a 200.
    pub fn from_answer(status: u16, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Self {
        let fault = Fault::read(body);
        let mut origin = Origin::of(headers);
        if origin.request_id.is_none() {
            origin.request_id = fault.request_id.as_deref().and_then(|id| clean_id(id.as_bytes()));
        }
        let should_retry =
            match headers.get("x-should-retry").map(reqwest::header::HeaderValue::as_bytes) {
                Some(b"true") => Some(true),
                Some(b"false") => Some(false),
                _ => None,
            };
        Self {
            class: class_of(status, headers, &fault, now),
            status: Some(status),
            origin,
            retry_after_ms: retry_after_ms(headers, now),
            should_retry,
            names_model: fault.kind.is_some() && fault.says("model"),
            sent: true,
            io: None,
        }
    }

    /// Classifies a transport failure: before any response, or after a response head with this
    /// `status`.
    pub fn from_transport(error: &reqwest::Error, status: Option<u16>) -> Self {
        let class = if error.is_timeout() {
            FailureClass::Timeout
        } else if status.is_some() {
            FailureClass::Malformed(Malformed::Cut)
        } else if error.is_builder() {
            FailureClass::InvalidRequest
        } else {
            FailureClass::Network
        };
        let sent = !error.is_connect() && !error.is_builder();
        Self { status, sent, io: io_kind(error), ..Self::bare(class) }
    }

    /// A response of this status that cannot be used.
    pub fn malformed(kind: Malformed, status: u16, origin: Origin) -> Self {
        Self { status: Some(status), origin, ..Self::bare(FailureClass::Malformed(kind)) }
    }

    /// A secret that is not a valid header value, so it was never sent: no key looks like that.
    pub(super) fn unsendable() -> Self {
        Self { sent: false, ..Self::bare(FailureClass::InvalidRequest) }
    }

    /// No response in time, or not all of it.
    pub(super) fn late() -> Self {
        Self::bare(FailureClass::Timeout)
    }

    fn bare(class: FailureClass) -> Self {
        Self {
            class,
            status: None,
            origin: Origin::default(),
            retry_after_ms: None,
            should_retry: None,
            names_model: false,
            sent: true,
            io: None,
        }
    }
}

impl fmt::Display for UpstreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.class {
            FailureClass::Authentication => "anthropic does not accept the key",
            FailureClass::Billing => "no credit behind the key",
            FailureClass::OnHold => "the key's organisation is on hold",
            FailureClass::Permission => "the key may not do this",
            FailureClass::NotFound => "anthropic does not know the requested model or path",
            FailureClass::RateLimited { .. } => "the key's organisation is rate-limited",
            FailureClass::SpendLimit { .. } => {
                "the key's organisation or workspace reached its spend limit"
            }
            FailureClass::InvalidRequest => "anthropic refused the request as invalid",
            FailureClass::Conflict => "anthropic reported a conflict",
            FailureClass::TooLarge => "the request is too large for anthropic",
            FailureClass::Overloaded => "anthropic is overloaded",
            FailureClass::Server => "anthropic had an internal error",
            FailureClass::Network => "anthropic could not be reached",
            FailureClass::Timeout => "anthropic did not answer in time",
            FailureClass::Malformed(Malformed::Cut) => "anthropic's answer was cut off",
            FailureClass::Malformed(Malformed::TooBig) => {
                "anthropic's answer is longer than allowed"
            }
            FailureClass::Malformed(Malformed::Unreadable) => {
                "the answer does not come from anthropic's api"
            }
            FailureClass::Malformed(Malformed::Redirect) => {
                "the answer is a redirect, which is never followed with a key"
            }
        })?;
        if let Some(status) = self.status {
            write!(f, " (HTTP {status})")?;
        }
        self.io.map_or(Ok(()), |kind| write!(f, " ({kind})"))
    }
}

impl Error for UpstreamFailure {}

/// Anthropic's error object; a any other body has no fields.
#[derive(Default)]
struct Fault {
    kind: Option<String>,
    /// Lower-cased: it is only searched.
    message: String,
    code: Option<String>,
    request_id: Option<String>,
}

impl Fault {
    fn read(body: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        let at = |path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
        Self {
            kind: at("/error/type"),
            message: at("/error/message").unwrap_or_default().to_lowercase(),
            code: at("/error/details/error_code"),
            request_id: at("/request_id"),
        }
    }

    fn says(&self, words: &str) -> bool {
        self.message.contains(words)
    }
}

/// The error code decides first, then the status, then the type where the status is inconclusive.
/// Message texts decide only the cases that have no other mark.
fn class_of(status: u16, headers: &HeaderMap, fault: &Fault, now: Timestamp) -> FailureClass {
    match fault.code.as_deref() {
        Some("organization_on_hold") => return FailureClass::OnHold,
        Some("enforced_spend_limit_reached" | "contract_spend_limit_reached") => {
            return FailureClass::SpendLimit { until: next_month(now) };
        }
        _ => {}
    }
    match status {
        300..=399 => FailureClass::Malformed(Malformed::Redirect),
        400 | 403 if fault.kind.as_deref() == Some("billing_error") => FailureClass::Billing,
        400 if fault.says("credit balance is too low") => FailureClass::Billing,
        400 if own_limit(fault) => FailureClass::SpendLimit { until: next_month(now) },
        401 => FailureClass::Authentication,
        402 => FailureClass::Billing,
        403 => FailureClass::Permission,
        404 => FailureClass::NotFound,
        408 => FailureClass::Server,
        409 => FailureClass::Conflict,
        413 => FailureClass::TooLarge,
        429 => FailureClass::RateLimited { until: limited_until(headers, now) },
        400..=499 => FailureClass::InvalidRequest,
        529 => FailureClass::Overloaded,
        500..=599 if fault.kind.as_deref() == Some("overloaded_error") => FailureClass::Overloaded,
        500..=599 => FailureClass::Server,
        _ => class_of_type(headers, fault, now),
    }
}

/// "You have reached your specified API usage limits. You will regain access on …", or the same for
/// a workspace.
fn own_limit(fault: &Fault) -> bool {
    fault.says("usage limits")
        || fault.says("usage limit") && fault.says("regain access")
        || fault.says("spend limit")
}

/// An `error` event in a stream has a type but no status of its own.
fn class_of_type(headers: &HeaderMap, fault: &Fault, now: Timestamp) -> FailureClass {
    match fault.kind.as_deref() {
        Some("authentication_error") => FailureClass::Authentication,
        Some("billing_error") => FailureClass::Billing,
        Some("permission_error") => FailureClass::Permission,
        Some("not_found_error") => FailureClass::NotFound,
        Some("rate_limit_error") => {
            FailureClass::RateLimited { until: limited_until(headers, now) }
        }
        Some("invalid_request_error") if fault.says("credit balance is too low") => {
            FailureClass::Billing
        }
        Some("invalid_request_error") if own_limit(fault) => {
            FailureClass::SpendLimit { until: next_month(now) }
        }
        Some("invalid_request_error") => FailureClass::InvalidRequest,
        Some("conflict_error") => FailureClass::Conflict,
        Some("request_too_large") => FailureClass::TooLarge,
        Some("overloaded_error") => FailureClass::Overloaded,
        Some(_) => FailureClass::Server,
        None => FailureClass::Malformed(Malformed::Unreadable),
    }
}

/// The first of the next month, UTC.
fn next_month(now: Timestamp) -> Timestamp {
    let today = now.to_datetime();
    let month = today.month().next();
    let year = if month == Month::January { today.year() + 1 } else { today.year() };
    Date::from_calendar_date(year, month, 1)
        .ok()
        .map(|day| OffsetDateTime::new_utc(day, Time::MIDNIGHT).unix_timestamp_nanos() / 1_000_000)
        .and_then(|ms| u64::try_from(ms).ok())
        .map_or(Timestamp::MAX, Timestamp)
        .min(Timestamp::MAX)
}

/// The first operating-system error in the chain of causes.
fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T15:00:00Z.
    const NOW: Timestamp = Timestamp(1_795_446_000_000);
    /// 2026-12-01T00:00:00Z.
    const DECEMBER: Timestamp = Timestamp(1_796_083_200_000);

    fn body(kind: &str, message: &str, code: Option<&str>) -> Vec<u8> {
        let mut error = serde_json::json!({"type": kind, "message": message});
        if let Some(code) = code {
            error["details"] = serde_json::json!({"error_code": code});
        }
        serde_json::json!({"type": "error", "error": error, "request_id": "req_body"})
            .to_string()
            .into_bytes()
    }

    fn class(status: u16, kind: &str, message: &str, code: Option<&str>) -> FailureClass {
        UpstreamFailure::from_answer(status, &HeaderMap::new(), &body(kind, message, code), NOW)
            .class
    }

    const INVALID: &str = "invalid_request_error";
    const CREDIT: &str =
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.";
    const OWN: &str = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.";
    const WORKSPACE: &str = "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01.";

    #[test]
    fn every_status_has_its_class() {
        use FailureClass::*;
        let spent = SpendLimit { until: DECEMBER };
        for (status, kind, message, code, expected) in [
            (400, INVALID, "max_tokens: Field required", None, InvalidRequest),
            (400, INVALID, CREDIT, None, Billing),
            (400, "billing_error", "", None, Billing),
            (400, INVALID, OWN, None, spent),
            (400, INVALID, WORKSPACE, None, spent),
            (400, INVALID, "", Some("organization_on_hold"), OnHold),
            (403, "permission_error", "", Some("organization_on_hold"), OnHold),
            (
                400,
                INVALID,
                "prompt is too long: 200001 tokens > 200000 maximum",
                None,
                InvalidRequest,
            ),
            (401, "authentication_error", "invalid x-api-key", None, Authentication),
            (402, "billing_error", "", None, Billing),
            (403, "permission_error", "", None, Permission),
            (403, "billing_error", "", None, Billing),
            (404, "not_found_error", "model: claude-x", None, NotFound),
            (405, INVALID, "", None, InvalidRequest),
            (408, "timeout_error", "", None, Server),
            (409, "conflict_error", "", None, Conflict),
            (413, "request_too_large", "", None, TooLarge),
            (422, INVALID, "", None, InvalidRequest),
            (429, "rate_limit_error", "", None, RateLimited { until: None }),
            (429, "rate_limit_error", "", Some("enforced_spend_limit_reached"), spent),
            (429, "rate_limit_error", "", Some("contract_spend_limit_reached"), spent),
            (429, "rate_limit_error", "", Some("something_new"), RateLimited { until: None }),
            (500, "api_error", CREDIT, None, Server),
            (503, "api_error", "", None, Server),
            (503, "overloaded_error", "", None, Overloaded),
            (504, "timeout_error", "", None, Server),
            (529, "overloaded_error", "", None, Overloaded),
            (302, "", "", None, Malformed(super::Malformed::Redirect)),
        ] {
            assert_eq!(
                class(status, kind, message, code),
                expected,
                "{status} {kind} {message} {code:?}"
            );
        }
    }

    #[test]
    fn an_error_event_in_a_stream_is_classed_by_its_type() {
        use FailureClass::*;
        for (kind, message, expected) in [
            ("authentication_error", "", Authentication),
            ("billing_error", "", Billing),
            ("permission_error", "", Permission),
            ("not_found_error", "", NotFound),
            ("rate_limit_error", "", RateLimited { until: None }),
            (INVALID, "", InvalidRequest),
            (INVALID, CREDIT, Billing),
            (INVALID, OWN, SpendLimit { until: DECEMBER }),
            ("conflict_error", "", Conflict),
            ("request_too_large", "", TooLarge),
            ("overloaded_error", "", Overloaded),
            ("api_error", "", Server),
            ("timeout_error", "", Server),
            ("something_new", "", Server),
        ] {
            assert_eq!(class(200, kind, message, None), expected, "{kind} {message}");
        }
    }

    #[test]
    fn a_body_that_is_no_error_object_is_classed_by_its_status() {
        for bytes in [
            &b""[..],
            b"<html>model</html>",
            b"[1]",
            b"{\"error\":\"x\"}",
            b"\xff\xfe",
            b"{\"error\":{\"type\":",
        ] {
            let failure = UpstreamFailure::from_answer(404, &HeaderMap::new(), bytes, NOW);
            assert_eq!((failure.class, failure.names_model), (FailureClass::NotFound, false));
            let failure = UpstreamFailure::from_answer(200, &HeaderMap::new(), bytes, NOW);
            assert_eq!(failure.class, FailureClass::Malformed(Malformed::Unreadable));
        }
    }

    #[test]
    fn headers_identify_the_sender_and_when_to_retry() {
        let headers: HeaderMap = [
            ("request-id", "req_head"),
            ("anthropic-organization-id", "org"),
            ("anthropic-workspace-id", "wrkspc"),
            ("retry-after", "7"),
            ("x-should-retry", "false"),
        ]
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
        let failure =
            UpstreamFailure::from_answer(429, &headers, &body("rate_limit_error", "", None), NOW);
        assert_eq!(failure.class, FailureClass::RateLimited { until: Some(NOW.plus_ms(7000)) });
        assert_eq!((failure.retry_after_ms, failure.should_retry), (Some(7000), Some(false)));
        assert_eq!(failure.origin.request_id.as_deref(), Some("req_head"));
        assert_eq!(failure.origin.organization_id.as_deref(), Some("org"));
        assert_eq!(failure.origin.workspace_id.as_deref(), Some("wrkspc"));
        let failure =
            UpstreamFailure::from_answer(500, &HeaderMap::new(), &body("api_error", "", None), NOW);
        assert_eq!(failure.origin.request_id.as_deref(), Some("req_body"));
    }

    #[test]
    fn upstream_text_never_appears_in_our_text() {
        let echo = "sk-ant-api03-abcdefghijklmnop";
        let answer = body(echo, echo, Some(echo));
        let failure = UpstreamFailure::from_answer(400, &HeaderMap::new(), &answer, NOW);
        assert!(!format!("{failure} {failure:?}").contains("sk-ant-"));
    }

    #[test]
    fn the_next_month_begins_on_its_first_day() {
        for (at, expected) in [
            ("2026-11-23T15:00:00Z", "2026-12-01T00:00:00.000Z"),
            ("2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00.000Z"),
            ("2028-02-01T00:00:00Z", "2028-03-01T00:00:00.000Z"),
            ("9999-12-31T00:00:00Z", "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(next_month(Timestamp::parse(at).unwrap()).to_string(), expected);
        }
    }
}

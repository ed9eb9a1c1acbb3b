//! Who sent an error response, and what it says: only Anthropic's own form says something about a
//! key.

use super::error::{Between, FailureClass, Malformed};
use super::headers::{clean_id, limited_until};
use claviger_domain::timestamp::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::Value;
use time::{Date, Month, OffsetDateTime, Time};

/// Anthropic's error object; any other body has no fields.
#[derive(Default)]
pub(super) struct Fault {
    /// Whether the body says that it is an error object.
    is_error: bool,
    kind: Option<String>,
    pub(super) said: String,
    /// Lower-cased: it is only searched.
    message: String,
    code: Option<String>,
    pub(super) request_id: Option<String>,
}

impl Fault {
    pub(super) fn read(body: &[u8]) -> Self {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let Ok(value) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        let at = |path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let said = at("/error/message").unwrap_or_default();
        Self {
            is_error: at("/type").as_deref() == Some("error"),
            kind: at("/error/type"),
            message: said.to_lowercase(),
            said,
            code: at("/error/details/error_code"),
            request_id: at("/request_id"),
        }
    }

    fn says(&self, words: &str) -> bool {
        self.message.contains(words)
    }

    /// Whether Anthropic sent this: its error object, or its request id.
    pub(super) fn is_anthropics(&self, headers: &HeaderMap) -> bool {
        let is_id = |id: &[u8]| id.starts_with(b"req_") && clean_id(id).is_some();
        self.is_error && self.kind.is_some()
            || headers.get("request-id").is_some_and(|id| is_id(id.as_bytes()))
            || self.request_id.as_deref().is_some_and(|id| is_id(id.as_bytes()))
    }
}

/// Who answered decides first, then the error code, then the status, then the type where the status
/// is inconclusive. Message texts decide only the cases that have no other mark.
pub(super) fn class_of(
    status: u16,
    headers: &HeaderMap,
    fault: &Fault,
    now: Timestamp,
) -> FailureClass {
    if let Some(between) = between(status, headers, fault) {
        return between;
    }
    match fault.code.as_deref() {
        Some("organization_on_hold") => return FailureClass::OnHold,
        Some("enforced_spend_limit_reached" | "contract_spend_limit_reached") => {
            return FailureClass::SpendLimit { until: next_month(now) };
        }
        _ => {}
    }
    if matches!(status, 200..=299 | 400..=403) && fault.is_disabled() {
        return FailureClass::Disabled;
    }
    match status {
        400 | 403 if fault.kind.as_deref() == Some("billing_error") => FailureClass::Billing,
        401 => FailureClass::Authentication,
        402 => FailureClass::Billing,
        403 => FailureClass::Permission,
        404 => FailureClass::NoModel,
        408 => FailureClass::Server,
        409 => FailureClass::Conflict,
        413 => FailureClass::TooLarge,
        429 => FailureClass::RateLimited { until: limited_until(headers, now) },
        400..=499 => class_of_invalid(fault, now),
        529 => FailureClass::Overloaded,
        500..=599 if fault.kind.as_deref() == Some("overloaded_error") => FailureClass::Overloaded,
        500..=599 => FailureClass::Server,
        _ => class_of_type(headers, fault, now),
    }
}

/// What is not Anthropic's answer, or is about the way to it.
fn between(status: u16, headers: &HeaderMap, fault: &Fault) -> Option<FailureClass> {
    let is_anthropics = fault.is_anthropics(headers);
    let why = match status {
        300..=399 => return Some(FailureClass::Malformed(Malformed::Redirect)),
        403 if fault.is_of_region() => Between::Region,
        401 | 403 if is_anthropics && fault.says("cors") => Between::Origin,
        404 | 405 if !is_anthropics || !fault.says("model") => Between::Address,
        // Whoever says so, the same request has no chance.
        413 => return None,
        _ if is_anthropics || (200..300).contains(&status) => return None,
        _ => Between::Other,
    };
    Some(FailureClass::Between(why))
}

impl Fault {
    /// "Request not allowed": sent before any key is looked at, so it has neither a request id nor
    /// the usual form.
    fn is_of_region(&self) -> bool {
        self.says("request not allowed")
            || self.says("unsupported_country")
            || ["country", "region", "territory"].iter().any(|place| self.says(place))
                && ["not available", "not supported", "unsupported", "not allowed"]
                    .iter()
                    .any(|words| self.says(words))
    }

    /// "This organization has been disabled."
    fn is_disabled(&self) -> bool {
        let is_whole = ["organization", "organisation", "workspace", "account"]
            .iter()
            .any(|what| self.says(what));
        is_whole
            && [
                "has been disabled",
                "is disabled",
                "has been suspended",
                "has been archived",
                "is archived",
            ]
            .iter()
            .any(|words| self.says(words))
    }

    fn is_too_long(&self) -> bool {
        self.says("prompt is too long")
            || self.says("exceed context limit")
            || self.says("exceeds the context window")
            || self.says("context window") && self.says("exceed")
            || self.says("too many total text bytes")
    }
}

/// An invalid request, and the faults of a credential that are called so.
fn class_of_invalid(fault: &Fault, now: Timestamp) -> FailureClass {
    if fault.says("credit balance is too low") {
        FailureClass::Billing
    } else if own_limit(fault) {
        FailureClass::SpendLimit { until: next_month(now) }
    } else if fault.is_too_long() {
        FailureClass::TooLong
    } else {
        FailureClass::InvalidRequest
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
        // Said in passing, without a mark of Anthropic's, it says nothing.
        Some("authentication_error" | "billing_error" | "permission_error")
            if !fault.is_anthropics(headers) =>
        {
            FailureClass::Between(Between::Other)
        }
        Some("authentication_error") => FailureClass::Authentication,
        Some("billing_error") => FailureClass::Billing,
        Some("permission_error") => FailureClass::Permission,
        Some("not_found_error") if fault.says("model") => FailureClass::NoModel,
        Some("not_found_error") => FailureClass::Between(Between::Address),
        Some("rate_limit_error") => {
            FailureClass::RateLimited { until: limited_until(headers, now) }
        }
        Some("invalid_request_error") => class_of_invalid(fault, now),
        Some("conflict_error") => FailureClass::Conflict,
        Some("request_too_large") => FailureClass::TooLarge,
        Some("overloaded_error") => FailureClass::Overloaded,
        // It is an error, whatever its form.
        Some(_) | None => FailureClass::Server,
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

#[cfg(test)]
mod tests {
    use super::super::error::UpstreamFailure;
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
    const DISABLED: &str = "This organization has been disabled.";
    const CREDIT: &str =
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.";
    const OWN: &str = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.";
    const WORKSPACE: &str = "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01.";

    #[test]
    fn every_status_has_its_class() {
        use super::Between::*;
        use super::Malformed::Redirect;
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
            (400, INVALID, "prompt is too long: 200001 tokens > 200000 maximum", None, TooLong),
            (401, "authentication_error", "invalid x-api-key", None, Authentication),
            (402, "billing_error", "", None, Billing),
            (403, "permission_error", "", None, Permission),
            (403, "billing_error", "", None, Billing),
            (403, "permission_error", DISABLED, None, Disabled),
            (400, INVALID, DISABLED, None, Disabled),
            (400, INVALID, "This workspace has been archived.", None, Disabled),
            (404, "not_found_error", "model: claude-x", None, NoModel),
            (404, "not_found_error", "Not found", None, Between(Address)),
            (405, INVALID, "", None, Between(Address)),
            (403, "forbidden", "Request not allowed", None, Between(Region)),
            (403, "permission_error", "Your country is not supported", None, Between(Region)),
            (401, "authentication_error", "CORS requests are not allowed", None, Between(Origin)),
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
            (302, "", "", None, Malformed(Redirect)),
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
        let address = Between(super::Between::Address);
        for (kind, message, expected) in [
            ("authentication_error", "", Authentication),
            ("billing_error", "", Billing),
            ("permission_error", "", Permission),
            ("not_found_error", "model: x", NoModel),
            ("not_found_error", "", address),
            (INVALID, DISABLED, Disabled),
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

    /// Bodies that Anthropic doesn't send.
    const FOREIGN: [&[u8]; 10] = [
        b"",
        b"<html><body>Please sign in to the network, or choose a model</body></html>",
        b"[1]",
        b"{}",
        br#"{"error":"x"}"#,
        b"\xff\xfe",
        br#"{"error":{"type":"#,
        br#"{"error":{"type":"authentication_error","message":"model"}}"#,
        br#"{"type":"error","error":{"message":"invalid key for the model"}}"#,
        br#"{"error":{"message":"Incorrect API key provided","type":"auth_error","code":"401"}}"#,
    ];

    #[test]
    fn an_answer_that_is_not_anthropics_says_nothing_about_a_key() {
        use super::Between::*;
        let of = |status, headers: &HeaderMap, body: &[u8]| {
            UpstreamFailure::from_answer(status, headers, body, NOW)
        };
        let gateway: HeaderMap = [
            ("x-request-id", "req_x"),
            ("request-id", "7f3a"),
            ("retry-after", "600"),
            ("server", "gateway"),
        ]
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
        for body in FOREIGN {
            for headers in [&HeaderMap::new(), &gateway] {
                for (status, expected) in [
                    (400, FailureClass::Between(Other)),
                    (401, FailureClass::Between(Other)),
                    (402, FailureClass::Between(Other)),
                    (403, FailureClass::Between(Other)),
                    (404, FailureClass::Between(Address)),
                    (405, FailureClass::Between(Address)),
                    (407, FailureClass::Between(Other)),
                    (413, FailureClass::TooLarge),
                    (429, FailureClass::Between(Other)),
                    (451, FailureClass::Between(Other)),
                    (500, FailureClass::Between(Other)),
                    (502, FailureClass::Between(Other)),
                    (529, FailureClass::Between(Other)),
                ] {
                    let failure = of(status, headers, body);
                    let text = String::from_utf8_lossy(body);
                    assert_eq!(
                        (failure.class, &failure.reason),
                        (expected, &None),
                        "{status} {text}"
                    );
                    assert_eq!(failure.may_be_billed(), status >= 500, "{status}");
                }
            }
        }
        // Its request id is a mark of its own.
        let mut theirs = HeaderMap::new();
        theirs.insert("request-id", "req_011CS".parse().unwrap());
        assert_eq!(of(401, &theirs, b"").class, FailureClass::Authentication);
        assert_eq!(of(529, &theirs, b"").class, FailureClass::Overloaded);
        let body = br#"{"error":{"message":"no"},"request_id":"req_011CS"}"#;
        assert_eq!(of(401, &HeaderMap::new(), body).class, FailureClass::Authentication);
        // In a stream, an error is an error, but no word about a key.
        for body in FOREIGN {
            let class = of(200, &HeaderMap::new(), body).class;
            assert!(
                matches!(class, FailureClass::Server | FailureClass::Between(Other)),
                "{class:?}"
            );
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
    fn the_reason_is_for_the_user_without_secrets_and_never_for_the_log() {
        let echo = "sk-ant-api03-abcdefghijklmnop";
        let said = format!("max_tokens: 16384 > 8192 for {echo}");
        let answer = body(echo, &said, Some(echo));
        let failure = UpstreamFailure::from_answer(400, &HeaderMap::new(), &answer, NOW);
        assert!(!format!("{failure} {failure:?} {}", failure.in_words()).contains("sk-ant-"));
        assert_eq!(failure.to_string(), "Anthropic refused the request as invalid (HTTP 400)");
        assert_eq!(
            failure.in_words(),
            "Anthropic refused the request as invalid (HTTP 400): max_tokens: 16384 > 8192 for [removed]"
        );
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

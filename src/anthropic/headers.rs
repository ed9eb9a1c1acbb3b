//! Response headers: who sent the response, and when to retry.

use claviger_domain::api_key::contains_secret;
use claviger_domain::timestamp::Timestamp;
use reqwest::header::HeaderMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Longest id taken from a response, in bytes. Anthropic's have 28 to 36 characters; a longer one
/// is not theirs.
const MAX_ID_LEN: usize = 128;

/// Longest wait taken from a response: a day. A garbled header must not block a key for years.
const MAX_RETRY_AFTER_MS: u64 = 24 * 60 * 60 * 1000;

/// The groups that Anthropic limits independently of each other.
const LIMITED: [&str; 4] = ["requests", "tokens", "input-tokens", "output-tokens"];

/// Who sent the response, according to its headers. These are content, not facts: they identify an
/// organisation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// `request-id`.
    pub request_id: Option<String>,
    /// `anthropic-organization-id`: two keys of one organisation share limits and credit.
    pub organization_id: Option<String>,
    /// `anthropic-workspace-id`.
    pub workspace_id: Option<String>,
}

impl Origin {
    pub fn of(headers: &HeaderMap) -> Self {
        let id = |name: &str| headers.get(name).and_then(|value| clean_id(value.as_bytes()));
        Self {
            request_id: id("request-id"),
            organization_id: id("anthropic-organization-id"),
            workspace_id: id("anthropic-workspace-id"),
        }
    }
}

/// The state of one rate-limit group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    pub limit: Option<u64>,
    pub remaining: Option<u64>,
    /// When the group is fully replenished.
    pub reset: Option<Timestamp>,
}

/// The rate limits of a key's organisation, for the model family of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    pub requests: Window,
    /// Input and output together.
    pub tokens: Window,
    pub input_tokens: Window,
    pub output_tokens: Window,
}

impl RateLimits {
    /// Reads `anthropic-ratelimit-*`; a missing or unreadable value is `None`.
    pub fn of(headers: &HeaderMap) -> Self {
        let [requests, tokens, input_tokens, output_tokens] = LIMITED.map(|group| {
            let of = |what: &str| text(headers, &format!("anthropic-ratelimit-{group}-{what}"));
            Window {
                limit: of("limit").and_then(|value| value.parse().ok()),
                remaining: of("remaining").and_then(|value| value.parse().ok()),
                reset: of("reset").and_then(Timestamp::parse),
            }
        });
        Self { requests, tokens, input_tokens, output_tokens }
    }
}

/// An id that may be stored and shown: 1 to 128 printable ASCII characters that do not look like a
/// secret, since an unexpected upstream may echo the request.
pub(super) fn clean_id(bytes: &[u8]) -> Option<String> {
    let text = str::from_utf8(bytes).ok()?.trim();
    let fits = (1..=MAX_ID_LEN).contains(&text.len())
        && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    (fits && !contains_secret(text)).then(|| text.to_owned())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// `x-should-retry`, if it has one of its values.
pub(super) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match headers.get("x-should-retry")?.as_bytes() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// `retry-after-ms`, else `retry-after` as seconds or as an HTTP date; at most a day.
pub(super) fn retry_after_ms(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let exact = text(headers, "retry-after-ms").and_then(|value| whole(value, 1));
    let wait = exact.or_else(|| {
        let value = text(headers, "retry-after")?;
        whole(value, 1000).or_else(|| http_date(value).map(|at| at.ms_since(now)))
    })?;
    Some(wait.min(MAX_RETRY_AFTER_MS))
}

/// A number that may have a fraction (Anthropic's client library sends and accepts those), rounded
/// up to whole milliseconds.
fn whole(value: &str, factor: u64) -> Option<u64> {
    let (seconds, fraction) = value.split_once('.').unwrap_or((value, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds) || !digits(fraction) {
        return None;
    }
    // A number with too many digits for a u64 is still valid: the caller caps it.
    let whole = seconds.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(factor);
    let started = fraction.bytes().any(|byte| byte != b'0');
    let part = match (started, factor) {
        (false, _) => 0,
        (true, 1) => 1,
        (true, _) => fraction
            .get(..fraction.len().min(3))
            .and_then(|part| format!("{part:0<3}").parse().ok())
            .unwrap_or(0)
            .max(1),
    };
    Some(whole.saturating_add(part))
}

/// An HTTP date (RFC 9110, 5.6.7), whose preferred form follows RFC 2822.
fn http_date(value: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(value, &Rfc2822).ok()?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp)
}

/// When the rate limit ends: `retry-after`, else the latest reset among the exhausted groups, else
/// the latest reset of all groups. `None` when the response has none of these.
pub(super) fn limited_until(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    if let Some(wait) = retry_after_ms(headers, now) {
        return Some(now.plus_ms(wait));
    }
    let resets = LIMITED.into_iter().filter_map(|group| {
        let at = Timestamp::parse(text(headers, &format!("anthropic-ratelimit-{group}-reset"))?)?;
        let spent = text(headers, &format!("anthropic-ratelimit-{group}-remaining")) == Some("0");
        Some((spent, at.clamp(now, now.plus_ms(MAX_RETRY_AFTER_MS))))
    });
    // `true` sorts after `false`, so an exhausted group wins over any other.
    resets.max().map(|(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(784_111_777_000);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        let day = MAX_RETRY_AFTER_MS;
        for (name, value, expected) in [
            ("retry-after", "30", Some(30_000)),
            ("retry-after", " 0 ", Some(0)),
            ("retry-after", "1.5", Some(1_500)),
            ("retry-after", "0.0001", Some(1)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT", Some(10_000)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("retry-after", "99999999999999999999999", Some(day)),
            ("retry-after", "-1", None),
            ("retry-after", "soon", None),
            ("retry-after", "", None),
            ("retry-after-ms", "250", Some(250)),
        ] {
            assert_eq!(
                retry_after_ms(&headers(&[(name, value)]), NOW),
                expected,
                "{name}: {value}"
            );
        }
        assert_eq!(
            retry_after_ms(&headers(&[("retry-after", "9"), ("retry-after-ms", "10")]), NOW),
            Some(10)
        );
    }

    #[test]
    fn without_retry_after_the_exhausted_group_decides() {
        let until = |pairs: &[(&'static str, &str)]| limited_until(&headers(pairs), NOW);
        let spent = [
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "1994-11-06T08:49:50Z"),
            ("anthropic-ratelimit-tokens-remaining", "5"),
            ("anthropic-ratelimit-tokens-reset", "1994-11-06T08:59:50Z"),
        ];
        assert_eq!(until(&spent), Some(NOW.plus_ms(13_000)));
        assert_eq!(until(&spent[2..]), Some(NOW.plus_ms(613_000)));
        assert_eq!(
            until(&[("anthropic-ratelimit-tokens-reset", "9999-01-01T00:00:00Z")]),
            Some(NOW.plus_ms(MAX_RETRY_AFTER_MS))
        );
        assert_eq!(
            until(&[("anthropic-ratelimit-tokens-reset", "1970-01-01T00:00:00Z")]),
            Some(NOW)
        );
        assert_eq!(until(&[("anthropic-ratelimit-tokens-reset", "tomorrow")]), None);
        assert_eq!(until(&[]), None);
    }

    #[test]
    fn invalid_ids_are_dropped() {
        assert_eq!(clean_id(b"req_011CS"), Some("req_011CS".to_owned()));
        for bad in
            [&b""[..], b"  ", b"a\tb", b"caf\xc3\xa9", b"\xff", b"x-sk-ANT-api03-abc", &[b'a'; 129]]
        {
            assert_eq!(clean_id(bad), None);
        }
    }
}

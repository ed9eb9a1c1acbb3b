//! Answers that users of other programs ran into, byte for byte, and others of their kind: who is
//! speaking about the key, and what is billed.

use super::corpus::{called, text_of};
use super::raw::{RawUpstream, events, refusal};
use super::{LEVELS, leaks, probe, secret};
use crate::harness::environment::NOW;
use claviger::anthropic::prices::{PriceTable, Terms};
use claviger::anthropic::stream::{CallFailure, CallItem};
use claviger::simulator::keys::{Scenario, key};
use claviger_domain::key_test::{KeyTestLevel, KeyTestStatus, Verdict};
use claviger_domain::orchestration::{FailureClass, Fault, Usage};
use std::time::Duration;

macro_rules! case {
    ($name:literal) => {
        include_bytes!(concat!("../fixtures/cases/", $name)).to_vec()
    };
}

fn failed(items: &[CallItem]) -> &CallFailure {
    let Some(CallItem::Failed(failure)) = items.last() else { panic!("{items:?}") };
    failure
}

const HTML: &str = "<html><body>Please sign in to the network to use this model</body></html>";
const PAGE: [(&str, &str); 1] = [("content-type", "text/html")];
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

fn form(kind: &str, message: &str) -> String {
    serde_json::json!({"type": "error", "error": {"type": kind, "message": message}}).to_string()
}

struct Row {
    answer: Vec<u8>,
    class: FailureClass,
    /// Status of the key's test at level FULL.
    status: KeyTestStatus,
    /// Part of the sentence that explains the test.
    says: &'static str,
}

fn row(answer: Vec<u8>, class: FailureClass, status: KeyTestStatus, says: &'static str) -> Row {
    Row { answer, class, status, says }
}

const BETWEEN: &str = "Something between this server and Anthropic answered";

/// Those that users ran into.
fn known() -> Vec<Row> {
    use FailureClass as C;
    use KeyTestStatus::{Failed, Inconclusive};
    vec![
        row(case!("B02-B19-NEW1-429-long.http"), C::RateLimit, Inconclusive, "limiting the rate"),
        row(case!("B10-429-retry-after-0.http"), C::RateLimit, Inconclusive, "limiting the rate"),
        row(case!("B11-529.http"), C::Overloaded, Inconclusive, "overloaded"),
        row(case!("B03-403-region.http"), C::Between, Inconclusive, "the region"),
        row(case!("B04-401-html.http"), C::Between, Inconclusive, BETWEEN),
        row(case!("B04-403-html.http"), C::Between, Inconclusive, BETWEEN),
        row(case!("B04-429-html.http"), C::Between, Inconclusive, BETWEEN),
        row(case!("B05-org-disabled.http"), C::Disabled, Failed, "has disabled its organisation"),
        row(case!("B40-no-credit.http"), C::Credit, Failed, "no credit"),
        row(
            case!("NEW2-400-prompt-too-long.http"),
            C::TooLarge,
            Inconclusive,
            "prompt is too long: 215034 tokens > 200000 maximum",
        ),
    ]
}

/// Others of the kind: who speaks?
fn between() -> Vec<Row> {
    use FailureClass as C;
    use KeyTestStatus::Inconclusive;
    vec![
        row(refusal(401, &[], ""), C::Between, Inconclusive, BETWEEN),
        row(refusal(402, &PAGE, HTML), C::Between, Inconclusive, BETWEEN),
        row(refusal(400, &PAGE, HTML), C::Between, Inconclusive, BETWEEN),
        row(refusal(407, &PAGE, HTML), C::Between, Inconclusive, BETWEEN),
        row(refusal(404, &PAGE, HTML), C::Between, Inconclusive, "The upstream address"),
        row(
            refusal(
                401,
                &JSON,
                r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#,
            ),
            C::Between,
            Inconclusive,
            BETWEEN,
        ),
        row(
            refusal(403, &JSON, r#"{"message":"Missing Authentication Token"}"#),
            C::Between,
            Inconclusive,
            BETWEEN,
        ),
        row(refusal(502, &PAGE, HTML), C::Overloaded, Inconclusive, BETWEEN),
        row(refusal(503, &[("retry-after", "5")], ""), C::Overloaded, Inconclusive, BETWEEN),
        row(super::raw::ok(&PAGE, HTML.as_bytes()), C::Between, Inconclusive, BETWEEN),
        row(super::raw::ok(&JSON, b"{}"), C::Between, Inconclusive, BETWEEN),
        row(refusal(302, &[("location", "/login")], ""), C::Between, Inconclusive, "redirect"),
        row(refusal(413, &PAGE, HTML), C::TooLarge, Inconclusive, "says nothing"),
    ]
}

/// And Anthropic itself, in all its forms.
fn anthropics() -> Vec<Row> {
    use FailureClass as C;
    use KeyTestStatus::{Failed, Inconclusive};
    let theirs = |status, kind: &str, said: &str| refusal(status, &JSON, &form(kind, said));
    vec![
        row(
            refusal(401, &[("request-id", "req_011CSHoEeqs5C35K2UUqR7Fy")], ""),
            C::Authentication,
            Failed,
            "doesn't accept this key",
        ),
        row(
            theirs(401, "authentication_error", "invalid x-api-key"),
            C::Authentication,
            Failed,
            "Anthropic's reason: invalid x-api-key",
        ),
        row(
            theirs(
                401,
                "authentication_error",
                "CORS requests are not allowed for this Organization",
            ),
            C::Between,
            Inconclusive,
            "a browser's",
        ),
        row(
            theirs(403, "permission_error", "This organization has been disabled."),
            C::Disabled,
            Failed,
            "has disabled its organisation",
        ),
        row(theirs(404, "not_found_error", "Not found"), C::Between, Inconclusive, "address"),
        row(theirs(404, "not_found_error", "model: x"), C::Permission, Failed, "does not exist"),
        row(
            theirs(400, "invalid_request_error", "max_tokens: 16384 > 8192, which is the maximum"),
            C::Request,
            Inconclusive,
            "max_tokens: 16384 > 8192",
        ),
        row(
            theirs(
                400,
                "invalid_request_error",
                "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
            ),
            C::TooLarge,
            Inconclusive,
            "188240 + 21333 > 200000",
        ),
    ]
}

#[tokio::test]
async fn only_anthropic_speaks_about_a_key() {
    let key = key(Scenario::Good, 1);
    for Row { answer, class, status, says } in
        known().into_iter().chain(between()).chain(anthropics())
    {
        let seen = String::from_utf8_lossy(&answer).into_owned();
        let items = called(answer.clone()).await;
        assert_eq!(failed(&items).class, class, "{seen}");
        assert!(!failed(&items).message.contains("sign in"), "{seen}");
        let upstream = RawUpstream::start(answer).await;
        let probe = probe(upstream.base_url(), Duration::from_secs(20));
        for level in LEVELS {
            let outcome = probe.test(&secret(&key), level, None, NOW).await;
            let verdict = &outcome.verdict;
            if level == KeyTestLevel::Full {
                assert_eq!(verdict.status, status, "{seen}");
                assert!(outcome.notes.message.contains(says), "{}", outcome.notes.message);
            }
            if class.fault() == Fault::Between {
                assert_eq!(
                    (verdict.status, verdict.authentic, verdict.has_credit, verdict.model_allowed),
                    (
                        KeyTestStatus::Inconclusive,
                        Verdict::Unknown,
                        Verdict::Unknown,
                        Verdict::Unknown
                    ),
                    "{seen}"
                );
                assert_eq!(verdict.rate_limited_until, None, "{seen}");
            }
            assert!(!leaks(&key, &format!("{outcome:?}")), "{seen}");
        }
    }
}

#[tokio::test]
async fn reasons_reach_the_user_short_and_without_secrets() {
    let key = key(Scenario::Good, 1);
    let said = format!("messages.0: bad {key} in \u{202e}{}", "word ".repeat(500));
    let answer = refusal(400, &JSON, &form("invalid_request_error", &said));
    let failure = failed(&called(answer).await).clone();
    assert!(failure.message.starts_with(
        "Anthropic refused the request as invalid (HTTP 400): messages.0: bad [removed] in word word"
    ));
    assert!(failure.message.chars().count() < 400 && !failure.message.contains('\u{202e}'));
    assert!(!leaks(&key, &format!("{failure:?}")));
}

/// What a call cost by the built-in prices, as the engine computes it.
fn cost(items: &[CallItem]) -> Option<u64> {
    let table = PriceTable::builtin().unwrap();
    let (usage, terms) = match items.last() {
        Some(CallItem::Ended(end)) => (end.usage, end.terms),
        Some(CallItem::Failed(failure)) if failure.maybe_billed => return None,
        Some(CallItem::Failed(failure)) => (failure.usage, failure.terms),
        other => panic!("{other:?}"),
    };
    table.cost("claude-haiku-5-5", NOW, usage, terms).0
}

#[tokio::test]
async fn streams_that_users_ran_into_are_read_and_billed_as_they_are() {
    for (answer, text, expected) in [
        (events(&case!("B12-done-before-stop.sse")), "Hi.", Some(110_000)),
        (events(&case!("B12-ping-without-type.sse")), "Hi.", Some(110_000)),
        (events(&case!("B12-unknown-event-with-text.sse")), "Hi.", Some(110_000)),
        (events(&case!("B14-split-surrogates.sse")), "😀", Some(110_000)),
        (events(&case!("B15-no-block-start.sse")), "Hi.", Some(110_000)),
        (events(&case!("B15-two-open-blocks.sse")), "Hi.", Some(110_000)),
        (case!("B16-gzip-answer.http"), "Hi.", Some(110_000)),
        (events(&case!("B09-geo-us.sse")), "Hi.", Some(16_500_000)),
    ] {
        let items = called(answer).await;
        assert!(matches!(items.last(), Some(CallItem::Ended(_))), "{items:?}");
        assert_eq!((text_of(&items).as_str(), cost(&items)), (text, expected));
    }
}

#[tokio::test]
async fn money_is_known_or_unknown_and_never_certain_and_too_low() {
    let start = |usage: &str| {
        format!(
            "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"id\":\"m\",\"usage\":{usage}}}}}\n\n"
        )
    };
    let said = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi.\"}}\n\n";
    let end = |reason: &str, usage: &str| {
        format!(
            "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\"}},\"usage\":{usage}}}\n\nevent: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
        )
    };
    let first = start(r#"{"input_tokens":1000,"output_tokens":1}"#);
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    for (name, answer, expected) in [
        ("cut", events(&case!("B08-ends-in-mid-answer.sse")), None),
        ("cut after the first event", events(first.as_bytes()), None),
        ("an error in the stream", events(format!("{first}{said}{error}").as_bytes()), None),
        ("an error instead of it", events(error.as_bytes()), None),
        ("unreadable", events(format!("{first}event: content_block_delta\ndata: {{\n\n").as_bytes()), None),
        ("a gateway that gave up", refusal(504, &PAGE, HTML), None),
        ("a gateway's time-out", refusal(408, &PAGE, HTML), None),
        ("an error of Anthropic's", case!("B11-529.http"), Some(0)),
        ("another gateway's refusal", refusal(403, &PAGE, HTML), Some(0)),
        ("refused before any output", events(&case!("B06-refusal-before-output.sse")), Some(0)),
        (
            "refused after thinking",
            events(format!("{first}{}", end("refusal", r#"{"output_tokens":20}"#)).as_bytes()),
            Some(110_000),
        ),
        (
            "refused after output",
            events(format!("{first}{said}{}", end("refusal", r#"{"output_tokens":20}"#)).as_bytes()),
            Some(110_000),
        ),
        (
            "refused, with no count",
            events(format!("{first}{}", end("refusal", "null")).as_bytes()),
            None,
        ),
        (
            "no last count",
            events(format!("{first}{said}{}", end("end_turn", "{}")).as_bytes()),
            None,
        ),
        (
            "the last counts are lower",
            events(format!("{first}{said}{}", end("end_turn", r#"{"input_tokens":1,"output_tokens":20}"#)).as_bytes()),
            Some(110_000),
        ),
        (
            "a cache of an hour",
            events(format!("{}{said}{}", start(r#"{"input_tokens":0,"cache_creation_input_tokens":10,"cache_creation":{"ephemeral_1h_input_tokens":10}}"#), end("end_turn", r#"{"output_tokens":0}"#)).as_bytes()),
            Some(2_000),
        ),
        (
            "a cache of another time",
            events(format!("{}{said}{}", start(r#"{"input_tokens":0,"cache_creation_input_tokens":10,"cache_creation":{"ephemeral_24h_input_tokens":10}}"#), end("end_turn", r#"{"output_tokens":0}"#)).as_bytes()),
            None,
        ),
        (
            "several passes",
            events(format!("{first}{said}{}", end("end_turn", r#"{"output_tokens":20,"iterations":[{},{}]}"#)).as_bytes()),
            None,
        ),
    ] {
        let items = called(answer).await;
        assert_eq!(cost(&items), expected, "{name}: {items:?}");
    }
}

#[tokio::test]
async fn a_refusal_says_why_and_bills_nothing_before_any_output() {
    let details = r#"event: message_start
data: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":200000,"output_tokens":1}}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"type":"refusal","category":"cyber","explanation":"This looks like an attack by sk-ant-api03-abc."}},"usage":{"output_tokens":0}}

event: message_stop
data: {"type":"message_stop"}

"#;
    let items = called(events(details.as_bytes())).await;
    let failure = failed(&items);
    assert_eq!(
        failure.message,
        "the model refused to answer: This looks like an attack by [removed] (category cyber)"
    );
    let usage = Usage { input: 200_000, ..Usage::default() };
    assert_eq!(
        (failure.class, failure.usage, failure.terms, failure.maybe_billed),
        (FailureClass::Refusal, usage, Terms::Free, false)
    );
}

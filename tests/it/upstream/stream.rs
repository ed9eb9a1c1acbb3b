//! Streamed messages over real HTTP: every end that they can have, and where patience and memory
//! end.

use super::{leaks, secret};
use crate::harness::environment::NOW;
use crate::harness::upstream::{held, simulator};
use claviger::anthropic::client::{AnthropicClient, AnthropicConfig};
use claviger::anthropic::stream::{CallEnd, CallFailure, CallItem, MessageRequest, StreamLimits};
use claviger::simulator::counts::Endpoint;
use claviger::simulator::gate::Gate;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Ending, Raw, Reply, Usage as Tokens};
use claviger::simulator::{Simulator, SimulatorConfig};
use claviger_domain::orchestration::{Block, FailureClass, StopReason, Usage};
use futures::StreamExt as _;
use serde_json::json;
use std::time::Duration;

const LIMITS: StreamLimits = StreamLimits {
    first_byte: Duration::from_secs(20),
    idle: Duration::from_secs(20),
    whole: Duration::from_secs(20),
    line_max: 64 * 1024,
    total_max: 4 * 1024 * 1024,
};

fn client(simulator: &Simulator) -> AnthropicClient {
    AnthropicClient::new(&AnthropicConfig {
        base_url: simulator.base_url(),
        ..AnthropicConfig::default()
    })
    .unwrap()
}

fn request() -> MessageRequest {
    MessageRequest {
        model: "claude-haiku-5-5".to_owned(),
        max_tokens: 1000,
        system: Some("You are brief.".to_owned()),
        blocks: vec![Block::Text { text: "Say hello".to_owned() }],
        schema: None,
    }
}

async fn called(simulator: &Simulator, key: &str, limits: StreamLimits) -> Vec<CallItem> {
    client(simulator).messages(&secret(key), &request(), limits, NOW).collect().await
}

fn text(items: &[CallItem]) -> String {
    items
        .iter()
        .filter_map(|item| if let CallItem::Text(text) = item { Some(text.as_str()) } else { None })
        .collect()
}

fn ended(items: &[CallItem]) -> &CallEnd {
    let Some(CallItem::Ended(end)) = items.last() else { panic!("{items:?}") };
    end
}

fn failed(items: &[CallItem]) -> &CallFailure {
    let Some(CallItem::Failed(failure)) = items.last() else { panic!("{items:?}") };
    failure
}

#[tokio::test]
async fn a_message_comes_whole_with_its_usage_and_its_limits() {
    let simulator = simulator().await;
    let key = key(Scenario::Good, 1);
    let said = "Grüße aus dem Simulator 🦀";
    let usage = Some(Tokens { input: 11, cache_creation: 3, cache_read: 2, output: 9 });
    for split_bytes in [0, 1, 3] {
        simulator
            .script()
            .push(&key, Act::Reply(Reply { usage, split_bytes, ..Reply::text(said) }));
        let items = called(&simulator, &key, LIMITS).await;
        assert!(
            matches!(&items[0], CallItem::Started { message_id, .. } if message_id.starts_with("msg_"))
        );
        assert_eq!(text(&items), said);
        let end = ended(&items);
        let tokens =
            Usage { input: 11, output: 9, cache_write_5m: 3, cache_write_1h: 0, cache_read: 2 };
        assert_eq!((end.stop_reason, end.usage), (StopReason::EndTurn, tokens));
        assert!(end.origin.request_id.is_some());
        assert_eq!(
            (end.limits.requests.limit, end.limits.requests.remaining),
            (Some(50), Some(49))
        );
        assert_eq!(end.limits.output_tokens.reset, Some(NOW.plus_ms(1000)));
    }
}

#[tokio::test]
async fn what_is_sent_is_what_was_asked() {
    let simulator =
        Simulator::start(SimulatorConfig { record_bodies: true, ..held() }).await.unwrap();
    let key = key(Scenario::Good, 1);
    let schema = json!({"type": "object", "properties": {"name": {"enum": ["Ann"]}}});
    let image = Block::Image { media_type: "image/png".to_owned(), data: "aGk=".to_owned() };
    let asked = MessageRequest {
        blocks: vec![request().blocks.remove(0), image],
        schema: Some(schema.clone()),
        ..request()
    };
    let items: Vec<_> =
        client(&simulator).messages(&secret(&key), &asked, LIMITS, NOW).collect().await;
    assert_eq!(text(&items), r#"{"name":"Ann"}"#);
    let source = json!({"type": "base64", "media_type": "image/png", "data": "aGk="});
    let expected = json!({
        "model": "claude-haiku-5-5", "max_tokens": 1000, "stream": true, "system": "You are brief.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Say hello"}, {"type": "image", "source": source}]}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    });
    assert_eq!(simulator.counts().calls(&key)[0].body, Some(expected));
    assert_eq!(simulator.counts().of_prompt("You are brief.", "Say hello"), 1);
    assert_eq!(simulator.counts().of_prompt("", "Say hello"), 0);
}

#[tokio::test]
async fn every_scenario_has_its_class() {
    use FailureClass as F;
    for (scenario, class, status) in [
        (Scenario::Revoked, F::Authentication, Some(401)),
        (Scenario::NoCredit400, F::Credit, Some(400)),
        (Scenario::NoCredit402, F::Credit, Some(402)),
        (Scenario::OnHold, F::Credit, Some(400)),
        (Scenario::SpendLimit400, F::SpendLimit, Some(400)),
        (Scenario::SpendLimit429, F::SpendLimit, Some(429)),
        (Scenario::ContractLimit429, F::SpendLimit, Some(429)),
        (Scenario::RateLimited, F::RateLimit, Some(429)),
        (Scenario::RateLimitedDate, F::RateLimit, Some(429)),
        (Scenario::RateLimitedReset, F::RateLimit, Some(429)),
        (Scenario::ForbiddenModel, F::Permission, Some(403)),
        (Scenario::UnknownModel, F::Permission, Some(404)),
        (Scenario::BadRequest, F::TooLarge, Some(400)),
        (Scenario::Conflict, F::Request, Some(409)),
        (Scenario::TooLarge, F::TooLarge, Some(413)),
        (Scenario::Server500, F::Overloaded, Some(500)),
        (Scenario::Server503, F::Overloaded, Some(503)),
        (Scenario::Server504, F::Overloaded, Some(504)),
        (Scenario::Overloaded, F::Overloaded, Some(529)),
        (Scenario::Reset, F::Connection, None),
        (Scenario::Redirect, F::Between, Some(302)),
        (Scenario::WrongType, F::Between, Some(200)),
        (Scenario::Garbage, F::Protocol, Some(200)),
        (Scenario::StreamCut, F::Connection, Some(200)),
        (Scenario::StreamError, F::Overloaded, Some(200)),
        (Scenario::Refusal, F::Refusal, Some(200)),
    ] {
        let (simulator, key) = (simulator().await, key(scenario, 1));
        let items = called(&simulator, &key, LIMITS).await;
        let failure = failed(&items);
        assert_eq!((failure.class, failure.status), (class, status), "{}", scenario.name());
        let billed = matches!(status, None | Some(200)) && class != F::Refusal;
        assert_eq!(failure.maybe_billed, billed, "{}", scenario.name());
        let limited = matches!(class, F::RateLimit | F::SpendLimit);
        assert_eq!(failure.until.is_some_and(|until| until > NOW), limited, "{}", scenario.name());
        assert!(!leaks(&key, &format!("{items:?}")), "{}", scenario.name());
        assert_eq!(simulator.counts().of(&key, Endpoint::Messages), 1);
    }
}

#[tokio::test]
async fn a_stream_cut_at_any_byte_is_a_connection_that_broke() {
    let simulator = simulator().await;
    let key = key(Scenario::Good, 1);
    let usage = Some(Tokens { input: 11, output: 9, ..Tokens::default() });
    for at in (0..1400).step_by(7) {
        simulator.script().push(
            &key,
            Act::Reply(Reply { usage, ending: Ending::CutAtByte(at), ..Reply::text("añb✓c") }),
        );
        let items = called(&simulator, &key, LIMITS).await;
        assert!("añb✓c".starts_with(&text(&items)), "{at}");
        match items.last() {
            // Nothing was missing but the end of the connection.
            Some(CallItem::Ended(_)) => assert_eq!(text(&items), "añb✓c"),
            _ => assert_eq!(
                (failed(&items).class, failed(&items).maybe_billed),
                (FailureClass::Connection, true),
                "{at}"
            ),
        }
        if matches!(items.first(), Some(CallItem::Started { .. }))
            && !matches!(items.last(), Some(CallItem::Ended(_)))
        {
            assert_eq!(failed(&items).usage.input, 11, "{at}");
        }
    }
}

#[tokio::test]
async fn noise_is_a_broken_protocol() {
    let simulator = simulator().await;
    let key = key(Scenario::Good, 1);
    for noise in [
        &b"\n\nevent: message_stop\ndata: {\"type\":\"message_stop\n\n"[..],
        b"\n\nevent: content_block_delta\ndata: \xff\xfe\n\n",
        b"\n\nevent: content_block_delta\ndata: [1,2\n\n",
    ] {
        simulator.script().push(
            &key,
            Act::Reply(Reply { noise: Some((600, noise.to_vec())), ..Reply::default() }),
        );
        let items = called(&simulator, &key, LIMITS).await;
        assert_eq!(failed(&items).class, FailureClass::Protocol, "{noise:?}");
    }
}

#[tokio::test]
async fn lines_and_streams_without_an_end_are_given_up_early() {
    let simulator = simulator().await;
    let key = key(Scenario::Good, 1);
    let headers = || vec![("content-type", "text/event-stream".to_owned())];
    let long_line = [b"data: ".as_slice(), &vec![b'x'; 100 * 1024 * 1024]].concat();
    let endless = b": ping\n\n".repeat(4 * 1024 * 1024);
    for body in [long_line, endless] {
        simulator.script().push(&key, Act::Raw(Raw { status: 200, headers: headers(), body }));
        let items = called(&simulator, &key, LIMITS).await;
        assert_eq!((items.len(), failed(&items).class), (1, FailureClass::Protocol));
        simulator.counts().wait(|counts| counts.open() == 0).await;
    }
}

#[tokio::test]
async fn silence_ends_by_each_of_its_clocks() {
    let simulator = simulator().await;
    let short = Duration::from_millis(50);
    for (scenario, reply, limits) in [
        (Scenario::Hang, None, StreamLimits { first_byte: short, ..LIMITS }),
        (Scenario::Hang, None, StreamLimits { whole: short, ..LIMITS }),
        (Scenario::Good, Some(Ending::HangAfter(1)), StreamLimits { idle: short, ..LIMITS }),
        (
            Scenario::Good,
            Some(Ending::HangAfter(1)),
            StreamLimits { whole: Duration::from_millis(500), ..LIMITS },
        ),
    ] {
        let key = key(scenario, 1);
        if let Some(ending) = reply {
            simulator.script().push(&key, Act::Reply(Reply { ending, ..Reply::default() }));
        }
        let items = called(&simulator, &key, limits).await;
        let failure = failed(&items);
        assert_eq!((failure.class, failure.maybe_billed), (FailureClass::Timeout, true));
        assert_eq!(failure.status, reply.map(|_| 200));
        simulator.counts().wait(|counts| counts.open() == 0).await;
    }
}

#[tokio::test]
async fn dropping_a_stream_hangs_up() {
    let simulator = simulator().await;
    let (key, gate) = (key(Scenario::Good, 1), Gate::default());
    let held = Reply { chunk_chars: 1, gate: Some((2, gate.clone())), ..Reply::text("abcd") };
    simulator.script().on_prompt("Say hello", Act::Reply(held));
    let mut stream = client(&simulator).messages(&secret(&key), &request(), LIMITS, NOW);
    assert_eq!(simulator.counts().total(), 0, "nothing is sent before the stream is polled");
    let mut heard = String::new();
    while heard != "ab" {
        if let Some(CallItem::Text(text)) = stream.next().await {
            heard.push_str(&text);
        }
    }
    gate.arrived(1).await;
    assert_eq!(simulator.counts().open(), 1);
    drop(stream);
    simulator.counts().wait(|counts| counts.open() == 0).await;
    gate.open();
    // The marker's queue is empty: the next call is answered by its key.
    assert!(text(&called(&simulator, &key, LIMITS).await).starts_with("Simulated answer"));
}

#[tokio::test]
async fn max_tokens_is_an_end_and_a_second_message_is_malformed() {
    let (simulator, key) = (simulator().await, key(Scenario::MaxTokens, 1));
    assert_eq!(ended(&called(&simulator, &key, LIMITS).await).stop_reason, StopReason::MaxTokens);
    let start =
        b"\n\nevent: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_2\",\"usage\":{\"output_tokens\":1}}}\n\n".to_vec();
    let again = Reply {
        noise: Some((900, start)),
        ending: Ending::HangAfter(9),
        chunk_chars: 400,
        ..Reply::default()
    };
    simulator.script().push(&key, Act::Reply(again));
    let items =
        called(&simulator, &key, StreamLimits { idle: Duration::from_millis(100), ..LIMITS }).await;
    let is_malformed = |item: &CallItem| matches!(item, CallItem::Failed(failure) if failure.class == FailureClass::Protocol);
    assert!(items.last().is_some_and(is_malformed), "{items:?}");
}

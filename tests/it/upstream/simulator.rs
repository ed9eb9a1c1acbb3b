//! The simulated upstream is true to the wire, and records the requests that it received.

use super::{leaks, secret};
use crate::harness::client::plain;
use crate::harness::environment::NOW;
use crate::harness::upstream::{held, simulator};
use claviger::simulator::counts::Endpoint;
use claviger::simulator::keys::{Scenario, key};
use claviger::simulator::script::{Act, Ending, Fault, Refusal, Reply};
use claviger::simulator::{Simulator, SimulatorConfig, serve_until};
use claviger_domain::key_test::KeyTestLevel;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::oneshot;

/// A client with none of our manners.
fn rude() -> reqwest::Client {
    plain().tls_certs_only([]).build().unwrap()
}

fn hello(stream: bool) -> Value {
    json!({"model": "claude-haiku-5-5", "max_tokens": 1000, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]})
}

fn post(simulator: &Simulator, key: &str, body: &Value) -> reqwest::RequestBuilder {
    let request =
        rude().post(format!("{}/v1/messages", simulator.base_url())).header("x-api-key", key);
    request.header("anthropic-version", "2023-06-01").json(body)
}

/// The events of a stream and whether it ended properly.
async fn events(mut response: reqwest::Response) -> (Vec<Value>, bool) {
    let mut bytes = Vec::new();
    let whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let text = String::from_utf8(bytes).unwrap();
    let events = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap());
    (events.collect(), whole)
}

fn text_of(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect()
}

#[tokio::test]
async fn a_message_has_the_apis_form() {
    let simulator = simulator().await;
    let key = key(Scenario::Good, 1);
    let response = post(&simulator, &key, &hello(false)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    for header in [
        "request-id",
        "anthropic-organization-id",
        "anthropic-workspace-id",
        "anthropic-ratelimit-tokens-reset",
    ] {
        assert!(response.headers().contains_key(header), "{header}");
    }
    let body: Value = response.json().await.unwrap();
    assert_eq!(
        (&body["type"], &body["role"], &body["stop_reason"]),
        (&json!("message"), &json!("assistant"), &json!("end_turn"))
    );
    assert!(body["content"][0]["text"].as_str().unwrap().contains("Hello"));
    assert!(body["usage"]["input_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn requests_that_the_api_refuses_are_refused() {
    let simulator = simulator().await;
    let key = key(Scenario::Good, 1);
    let url = |path: &str| format!("{}{path}", simulator.base_url());
    let with = |request: reqwest::RequestBuilder| {
        request.header("x-api-key", &key).header("anthropic-version", "2023-06-01")
    };
    for (request, status, kind) in [
        (rude().get(url("/v1/models")), 401, "authentication_error"),
        (
            rude().get(url("/v1/models")).header("x-api-key", "sk-ant-admin01-x"),
            401,
            "authentication_error",
        ),
        (rude().get(url("/v1/models")).header("x-api-key", &key), 400, "invalid_request_error"),
        (
            rude()
                .get(url("/v1/models"))
                .header("x-api-key", &key)
                .header("anthropic-version", "2020-01-01"),
            400,
            "invalid_request_error",
        ),
        (with(rude().get(url("/v1/models/claude-haiku-4-5-20251001"))), 200, ""),
        (with(rude().get(url("/v1/models/gpt"))), 404, "not_found_error"),
        (with(rude().get(url("/v1/models?limit=0"))), 400, "invalid_request_error"),
        (with(rude().get(url("/v1/nothing"))), 404, "not_found_error"),
        (with(rude().delete(url("/v1/messages"))), 405, "invalid_request_error"),
        (with(rude().post(url("/v1/messages"))).body("{}"), 400, "invalid_request_error"),
        (
            with(rude().post(url("/v1/messages"))).json(&json!({"model": "m"})),
            400,
            "invalid_request_error",
        ),
        (with(rude().post(url("/v1/messages/count_tokens"))).json(&hello(false)), 200, ""),
        (
            with(rude().post(url("/v1/messages")))
                .header("content-type", "application/json")
                .body(vec![b' '; 33 << 20]),
            413,
            "request_too_large",
        ),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status);
        let id = response.headers()["request-id"].to_str().unwrap().to_owned();
        let body: Value = response.json().await.unwrap();
        if status != 200 {
            assert_eq!(
                (&body["type"], &body["error"]["type"], &body["request_id"]),
                (&json!("error"), &json!(kind), &json!(id))
            );
        }
    }
    let mut unknown = hello(false);
    unknown["model"] = json!("claude-0");
    assert_eq!(post(&simulator, &key, &unknown).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_stream_carries_the_text_of_the_message() {
    let simulator = simulator().await;
    for scenario in [Scenario::Good, Scenario::Split] {
        let key = key(scenario, 1);
        let message: Value =
            post(&simulator, &key, &hello(false)).send().await.unwrap().json().await.unwrap();
        let response = post(&simulator, &key, &hello(true)).send().await.unwrap();
        assert!(
            response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream")
        );
        let (events, whole) = events(response).await;
        assert!(whole);
        assert_eq!(text_of(&events), message["content"][0]["text"].as_str().unwrap());
        assert_eq!(events[0]["message"]["content"], json!([]));
        let delta = events.iter().find(|event| event["type"] == "message_delta").unwrap();
        assert_eq!(
            (&delta["usage"], &delta["delta"]["stop_reason"]),
            (&message["usage"], &message["stop_reason"])
        );
        assert_eq!(events.last().unwrap()["type"], "message_stop");
    }
}

#[tokio::test]
async fn a_stream_breaks_where_the_script_breaks_it() {
    let simulator = simulator().await;
    for (scenario, last, proper) in [
        (Scenario::StreamCut, "content_block_delta", false),
        (Scenario::StreamError, "error", true),
    ] {
        let (events, whole) =
            events(post(&simulator, &key(scenario, 1), &hello(true)).send().await.unwrap()).await;
        assert_eq!((events.last().unwrap()["type"].as_str(), whole), (Some(last), proper));
        assert_eq!(events.iter().filter(|event| event["type"] == "content_block_delta").count(), 2);
    }
    let once = key(Scenario::StreamCutOnce, 1);
    assert!(!events(post(&simulator, &once, &hello(true)).send().await.unwrap()).await.1);
    assert!(events(post(&simulator, &once, &hello(true)).send().await.unwrap()).await.1);
    let flaky = key(Scenario::Flaky, 1);
    assert_eq!(post(&simulator, &flaky, &hello(true)).send().await.unwrap().status(), 529);
    assert_eq!(post(&simulator, &flaky, &hello(true)).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_script_comes_before_the_key() {
    let simulator = simulator().await;
    let (key, script) = (key(Scenario::Revoked, 1), simulator.script());
    script.push(&key, Act::Reply(Reply::text("ja")));
    script.push(&key, Act::Refuse(Refusal::new(503, "api_error", "later")));
    script.push(&key, Act::Scenario(Scenario::NoCredit402));
    let body: Value =
        post(&simulator, &key, &hello(false)).send().await.unwrap().json().await.unwrap();
    assert_eq!(body["content"][0]["text"], "ja");
    for status in [503, 402, 401] {
        assert_eq!(post(&simulator, &key, &hello(false)).send().await.unwrap().status(), status);
    }
    assert_eq!(script.left(&key), 0);
    assert!(!leaks(&key, &format!("{script:?} {simulator:?}")));
}

#[tokio::test]
async fn a_schema_is_obeyed() {
    let simulator = simulator().await;
    let mut body = hello(false);
    let schema = json!({"type": "object", "properties": {"selected_agents": {"type": "array", "items": {"enum": ["Ann", "Bob"]}}}});
    body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
    let message: Value = post(&simulator, &key(Scenario::Good, 1), &body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let said: Value =
        serde_json::from_str(message["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(said, json!({"selected_agents": ["Ann"]}));
}

#[tokio::test]
async fn calls_are_counted_and_keys_are_masked() {
    let simulator = simulator().await;
    let (key, url) = (key(Scenario::NoCredit400, 1), format!("{}/sim/calls", simulator.base_url()));
    let probe = super::probe(&simulator.base_url(), Duration::from_secs(5));
    for level in [KeyTestLevel::Authentic, KeyTestLevel::Full, KeyTestLevel::Full] {
        probe.test(&secret(&key), level, None, NOW).await;
    }
    let counts = simulator.counts();
    assert_eq!(
        (
            counts.of(&key, Endpoint::Models),
            counts.of(&key, Endpoint::Messages),
            counts.of_key(&key)
        ),
        (1, 2, 3)
    );
    counts.wait(|counts| counts.open() == 0).await;
    let shown = rude().get(url).send().await.unwrap().text().await.unwrap();
    assert!(!leaks(&key, &shown) && !leaks(&key, &format!("{counts:?} {:?}", counts.calls(&key))));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["total"], 3);
    let hint = format!("sk-ant-api03-no-...{}", key.chars().skip(104).collect::<String>());
    assert_eq!(
        shown["keys"],
        json!([{"key": hint, "scenario": "no-credit-400", "calls": {"models": 1, "messages": 2}}])
    );
    let statuses: Vec<_> = shown["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 400, 400]);
}

#[tokio::test]
async fn stopping_ends_every_wait() {
    let simulator =
        Simulator::start(SimulatorConfig { slow_delay: Duration::from_hours(1), ..held() })
            .await
            .unwrap();
    let keys: Vec<_> = [
        Act::Fault(Fault::Hang),
        Act::Fault(Fault::Slow),
        Act::Reply(Reply { ending: Ending::HangAfter(1), ..Reply::default() }),
    ]
    .into_iter()
    .zip(1..)
    .map(|(act, seed)| {
        let key = key(Scenario::Good, seed);
        simulator.script().push(&key, act);
        key
    })
    .collect();
    let counts = simulator.counts();
    let requests: Vec<_> = keys.iter().map(|key| post(&simulator, key, &hello(true))).collect();
    let calls = futures::future::join_all(requests.into_iter().map(|request| async {
        match request.send().await {
            Ok(response) => response.bytes().await.is_ok(),
            Err(_) => false,
        }
    }));
    let stop = async {
        counts.wait(|counts| counts.open() == 3).await;
        simulator.stop().await;
    };
    let (ended, ()) = tokio::join!(calls, stop);
    assert_eq!(ended, [false, false, false]);
    assert_eq!(counts.open(), 0);
}

#[tokio::test]
async fn serving_ends_with_its_signal() {
    let (told, address) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve_until(held(), |address| told.send(address).unwrap(), async {
        let _ = stopped.await;
    });
    let client = async {
        let base = format!("http://{}", address.await.unwrap());
        let answer = rude().get(format!("{base}/sim/calls")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        stop.send(()).unwrap();
        base
    };
    let (served, base) = tokio::join!(serving, client);
    served.unwrap();
    assert!(rude().get(base).send().await.is_err());
}

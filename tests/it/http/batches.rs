//! Several requests in one array.

use super::fixture::{LEGACY, Options, Running};
use crate::harness::client::{Answer, MODERN};
use claviger::http::graphql::EndpointSettings;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn each_request_of_a_batch_is_answered_in_its_place() {
    let server = Running::start().await;
    let body = json!([
        {"query": "{ hello }"},
        {"query": "{ nothing }"},
        7,
        {"query": "mutation { bump }"},
        {"query": "mutation { bump }"},
        {"query": "{ boom }"},
        {"query": format!("{{ {} }}", "hello ".repeat(21))},
    ]);
    for media in [MODERN, LEGACY] {
        let answer = Answer::of(server.post(media, body.to_string())).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.header("content-type").starts_with(media));
        let json = answer.json();
        let code =
            |at: usize| json[at]["errors"][0]["extensions"]["code"].as_str().unwrap_or_default();
        assert_eq!(json.as_array().map(Vec::len), Some(7));
        assert_eq!(json[0], json!({"data": {"hello": "hello you"}}));
        assert_eq!(
            [1, 2, 5, 6].map(code),
            ["BAD_REQUEST", "BAD_REQUEST", "INTERNAL", "LIMIT_EXCEEDED"]
        );
        assert_eq!(
            json[3]["data"]["bump"].as_u64().map(|n| n + 1),
            json[4]["data"]["bump"].as_u64(),
            "in order"
        );
        let ids: std::collections::HashSet<&str> = [1, 2, 5, 6]
            .iter()
            .filter_map(|at: &usize| json[*at]["errors"][0]["extensions"]["requestId"].as_str())
            .collect();
        assert_eq!(ids.len(), 4, "each has an id of its own");
    }
}

#[tokio::test]
async fn operations_of_a_batch_share_what_they_cause() {
    let server = Running::start().await;
    let body = json!([{"query": "{ context }"}, {"query": "{ context }"}]).to_string();
    let json = Answer::of(server.post(MODERN, body)).await.json();
    assert_eq!(json[0], json[1], "one correlation id");
}

#[tokio::test]
async fn a_batch_that_fails_as_one_has_the_status_of_one() {
    let server = Running::start().await;
    let two = json!([{"query": "{"}, {"query": "{ nothing }"}]).to_string();
    assert_eq!(Answer::of(server.post(MODERN, two.clone())).await.status, 400);
    assert_eq!(Answer::of(server.post(LEGACY, two)).await.status, 200);
    let hellos = json!([{"query": "{ hello }"}, {"query": "{ hello }"}]).to_string();
    let unknown =
        Answer::of(server.post(LEGACY, hellos).header("authorization", "Bearer bad")).await;
    assert_eq!(unknown.status, 401);
    assert!(unknown.header("www-authenticate").starts_with("Bearer"));
}

#[tokio::test]
async fn a_batch_over_the_limit_is_refused_whole() {
    let server = Running::start().await;
    let batch =
        |size: usize| Value::Array(vec![json!({"query": "mutation { bump }"}); size]).to_string();
    let answer = Answer::of(server.post(LEGACY, batch(11))).await;
    answer.assert_refused(400, "LIMIT_EXCEEDED");
    assert!(answer.message().contains("11 requests, and the limit is 10"));
    assert_eq!(server.shared.mutations.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert_eq!(
        Answer::of(server.post(MODERN, batch(10))).await.json().as_array().map(Vec::len),
        Some(10)
    );
}

#[tokio::test]
async fn a_batch_has_one_deadline() {
    let endpoint =
        EndpointSettings { timeout: Duration::from_millis(50), ..EndpointSettings::default() };
    let server = Running::with(Options { endpoint, ..Options::default() }).await;
    let body =
        json!([{"query": "{ hello }"}, {"query": "{ wait }"}, {"query": "{ wait }"}]).to_string();
    let json = Answer::of(server.post(MODERN, body)).await.json();
    assert_eq!(json[0]["data"]["hello"], "hello you");
    assert_eq!(
        [1, 2].map(|at: usize| json[at]["errors"][0]["extensions"]["code"].clone()),
        ["TIMEOUT", "TIMEOUT"]
    );
}

//! Limits, and secrets in the wrong place, through HTTP.

use super::fixture::{LEGACY, Options, Running};
use crate::harness::client::{Answer, MODERN};
use claviger::http::graphql::EndpointSettings;
use claviger_graphql::limits::Limits;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn each_limit_refuses_and_names_itself() {
    let server = Running::start().await;
    let deep = format!("{{ {} hello {} }}", "me { ".repeat(15), "}".repeat(15));
    let aliases: String =
        (0..31).fold("{ me { ".to_owned(), |text, n| format!("{text} a{n}: hello")) + " } }";
    let doubling: String = (0..40).fold("{ ...F0 }".to_owned(), |text, n| {
        format!("{text} fragment F{n} on Query {{ ...F{m} ...F{m} }}", m = n + 1)
    }) + " fragment F40 on Query { hello }";
    let cases = [
        (deep, "levels of fields reach 16"),
        (aliases, "aliases reach 31"),
        (format!("{{ {} }}", "hello ".repeat(21)), "root fields reach 21"),
        (format!("{{ hello {} }}", "@skip(if: false) ".repeat(51)), "directives reach 51"),
        (format!("{{ me {{ {} }} }}", "hello ".repeat(10_000)), "tokens reach 10001"),
        (format!("{{ number(n: {}", "[".repeat(5_000)), "nested brackets reach 65"),
        (
            "{ page(first: 100) { page(first: 100) { hello } } }".to_owned(),
            "complexity points reach",
        ),
        (doubling, "selections, fragments expanded,"),
    ];
    for (query, message) in cases {
        let answer = server.ask(&query).await;
        answer.assert_refused(400, "LIMIT_EXCEEDED");
        assert!(answer.message().contains(message), "{}", answer.text);
    }
    let circular = server.ask("{ ...A } fragment A on Query { ...A }").await;
    circular.assert_refused(400, "BAD_REQUEST");
}

#[tokio::test]
async fn variables_count_in_complexity() {
    let server = Running::start().await;
    let query = "query($n: Int!) { page(first: $n) { page(first: $n) { hello } } }";
    assert_eq!(server.ask_with(query, json!({"n": 2})).await.status, 200);
    server.ask_with(query, json!({"n": 100})).await.assert_refused(400, "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn introspection_passes_and_can_be_switched_off() {
    let introspection = "{ __schema { types { name fields { name args { name type { ofType { ofType { name } } } } type { name ofType \
                         { name ofType { name ofType { name ofType { name } } } } } } } } }";
    let server = Running::start().await;
    assert_eq!(server.ask(introspection).await.status, 200);
    let limits = Limits { introspection: false, ..Limits::default() };
    let closed = Running::with(Options { limits, ..Options::default() }).await;
    closed.ask(introspection).await.assert_refused(403, "FORBIDDEN");
    assert_eq!(closed.ask("{ __typename hello }").await.status, 200);
}

#[tokio::test]
async fn secrets_come_through_variables_only_and_are_never_echoed() {
    let server = Running::start().await;
    let by_variable = server
        .ask_with("query($s: Secret!) { length(secret: $s) }", json!({"s": "swordfish"}))
        .await;
    assert_eq!(by_variable.json(), json!({"data": {"length": 9}}));
    let refused = [
        ("{ length(secret: \"swordfish\") }", json!({})),
        ("query($s: Secret! = \"swordfish\") { length(secret: $s) }", json!({})),
        ("mutation { login(input: {name: \"a\", password: \"swordfish\"}) }", json!({})),
        (
            "mutation($i: LoginInput! = {name: \"a\", password: \"swordfish\"}) { login(input: $i) }",
            json!({}),
        ),
        // The parser stops in the middle of it.
        ("{ length(secret: \"swordfish\") ! }", json!({})),
        // The wrong type: validation and coercion each report it.
        ("query($s: Secret!) { length(secret: $s) }", json!({"s": ["swordfish"]})),
        ("query($s: String!) { length(secret: $s) }", json!({"s": "swordfish"})),
        ("mutation($i: LoginInput!) { login(input: $i) }", json!({"i": "swordfish"})),
        (
            "mutation($i: LoginInput!) { login(input: $i) }",
            json!({"i": {"name": "a", "password": {"a": "swordfish"}}}),
        ),
        (
            "mutation($p: Secret!) { login(input: {name: 3, password: $p}) }",
            json!({"p": "swordfish"}),
        ),
    ];
    for (query, variables) in refused {
        let answer = server.ask_with(query, variables).await;
        assert_eq!(answer.code(), "BAD_REQUEST", "{query}: {}", answer.text);
        assert!(!answer.text.contains("swordfish"), "{query}: {}", answer.text);
    }
    let literal =
        server.ask("mutation { login(input: {name: \"a\", password: \"swordfish\"}) }").await;
    assert!(
        literal
            .message()
            .contains("\"input.password\" of \"login\" takes a secret: pass it as a variable"),
        "{}",
        literal.text
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_with_or_without_a_content_length() {
    let endpoint = EndpointSettings { max_body_bytes: 1_000, ..EndpointSettings::default() };
    let server = Running::with(Options { endpoint, ..Options::default() }).await;
    let filled = |filler: usize| {
        json!({"query": "{ hello }", "extensions": {"filler": "x".repeat(filler)}}).to_string()
    };
    let body = |size: usize| filled(size - filled(0).len());
    assert_eq!(Answer::of(server.post(MODERN, body(1_000))).await.status, 200);
    Answer::of(server.post(LEGACY, body(1_001))).await.assert_refused(413, "LIMIT_EXCEEDED");
    let pieces = futures::stream::iter([Ok::<_, std::io::Error>(body(1_001))]);
    Answer::of(server.post(MODERN, reqwest::Body::wrap_stream(pieces)))
        .await
        .assert_refused(413, "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn an_operation_that_takes_too_long_is_given_up() {
    let endpoint =
        EndpointSettings { timeout: Duration::from_millis(50), ..EndpointSettings::default() };
    let server = Running::with(Options { endpoint, ..Options::default() }).await;
    for media in [MODERN, LEGACY] {
        let answer = Answer::of(server.post(media, json!({"query": "{ wait }"}).to_string())).await;
        answer.assert_refused(504, "TIMEOUT");
        assert_eq!(answer.message(), "TIMEOUT");
    }
}

#[tokio::test]
async fn a_body_that_takes_too_long_is_given_up() {
    let endpoint =
        EndpointSettings { timeout: Duration::from_millis(50), ..EndpointSettings::default() };
    let server = Running::with(Options { endpoint, ..Options::default() }).await;
    let never = futures::stream::pending::<Result<String, std::io::Error>>();
    Answer::of(server.post(MODERN, reqwest::Body::wrap_stream(never)))
        .await
        .assert_refused(408, "TIMEOUT");
}

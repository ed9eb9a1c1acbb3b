//! Pages of other origins, and proxies.

use super::fixture::{Options, Running};
use crate::harness::client::{Answer, MODERN};
use claviger::http::edge::envelope::Edge;
use serde_json::json;
use std::sync::atomic::Ordering;

const APP: &str = "https://app.example.org";

async fn with(origins: &str, proxies: &str) -> Running {
    let edge = Edge {
        origins: origins.parse().expect("origins"),
        trusted_proxies: proxies.parse().expect("networks"),
        ..Edge::default()
    };
    Running::with(Options { edge, ..Options::default() }).await
}

#[tokio::test]
async fn a_foreign_page_changes_nothing_and_reads_nothing() {
    let server = with(APP, "").await;
    let body = json!({"query": "mutation { bump }"}).to_string();
    for origin in [
        "https://evil.example.org",
        "null",
        "http://app.example.org",
        "https://app.example.org.evil.org",
        "zebra",
    ] {
        let answer = Answer::of(server.post(MODERN, body.clone()).header("origin", origin)).await;
        answer.assert_refused(403, "FORBIDDEN");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}");
        let upgrade = server.client.get(server.url("/graphql")).header("origin", origin);
        let upgrade = upgrade.header("connection", "upgrade").header("upgrade", "websocket");
        Answer::of(upgrade).await.assert_refused(403, "FORBIDDEN");
    }
    assert_eq!(server.shared.mutations.load(Ordering::SeqCst), 0);
    let read = server
        .client
        .get(server.url("/graphql?query=%7Bhello%7D"))
        .header("origin", "https://evil.example.org");
    assert!(
        !Answer::of(read).await.headers.contains_key("access-control-allow-origin"),
        "the browser keeps the answer from it"
    );

    for origin in [APP.to_owned(), format!("http://{}", server.address)] {
        let answer = Answer::of(server.post(MODERN, body.clone()).header("origin", &origin)).await;
        assert_eq!(answer.status, 200, "{origin}: {}", answer.text);
    }
    assert_eq!(server.shared.mutations.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn browsers_learn_what_a_named_page_may_do() {
    let server = with(APP, "").await;
    let preflight = |origin: &'static str| {
        let request = server
            .client
            .request(reqwest::Method::OPTIONS, server.url("/graphql"))
            .header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        Answer::of(request.header("access-control-request-headers", "authorization,content-type"))
    };
    let answer = preflight(APP).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, APP));
    assert!(answer.header("access-control-allow-methods").contains("POST"));
    for header in ["authorization", "content-type"] {
        assert!(answer.header("access-control-allow-headers").contains(header), "{header}");
    }
    assert_eq!(answer.header("access-control-max-age"), "7200");
    assert!(
        !answer.headers.contains_key("access-control-allow-credentials"),
        "tokens are no cookies"
    );
    assert!(uuid::Uuid::parse_str(answer.header("x-request-id")).is_ok());
    assert!(
        !preflight("https://evil.example.org")
            .await
            .headers
            .contains_key("access-control-allow-origin")
    );

    let answer = Answer::of(
        server.post(MODERN, json!({"query": "{ hello }"}).to_string()).header("origin", APP),
    )
    .await;
    assert_eq!(answer.header("access-control-allow-origin"), APP);
    for header in ["etag", "retry-after", "x-request-id"] {
        assert!(answer.header("access-control-expose-headers").contains(header), "{header}");
    }
    let vary: Vec<_> =
        answer.headers.get_all("vary").iter().map(|value| value.to_str().expect("text")).collect();
    assert!(vary.iter().any(|value| value.contains("origin")), "{vary:?}");
}

#[tokio::test]
async fn every_answer_keeps_pages_out_of_frames_and_away_from_devices() {
    let server = Running::start().await;
    for path in
        ["/graphql?query=%7Bhello%7D", "/health", "/nowhere", "/graphiql", "/graphiql/page.js"]
    {
        let answer = Answer::of(server.client.get(server.url(path))).await;
        assert!(
            answer.header("content-security-policy").contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert!(
            answer.header("content-security-policy").starts_with("default-src 'none'"),
            "{path}"
        );
        assert!(answer.header("permissions-policy").contains("camera=()"), "{path}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert!(!answer.headers.contains_key("strict-transport-security"), "{path} came in clear");
    }
}

#[tokio::test]
async fn only_trusted_proxies_say_who_the_client_is() {
    let body = json!({"query": "{ context }"}).to_string();
    for (proxies, client, is_https) in
        [("", "127.0.0.1", false), ("127.0.0.0/8", "203.0.113.9", true)]
    {
        let server = with("", proxies).await;
        let request =
            server.post(MODERN, body.clone()).header("x-forwarded-for", "6.6.6.6, 203.0.113.9");
        let answer = Answer::of(request.header("x-forwarded-proto", "https")).await;
        let said = answer.json()["data"]["context"].as_str().expect("text").to_owned();
        assert_eq!(said.split('|').nth(1), Some(client), "{said}");
        assert_eq!(answer.headers.contains_key("strict-transport-security"), is_https);
    }
}

/// Tracing, metering and client libraries add headers of their own.
#[tokio::test]
async fn a_named_page_may_send_what_its_libraries_add() {
    let server = with(APP, "").await;
    let preflight = async |origin: &'static str, headers: &'static str| {
        let request = server
            .client
            .request(reqwest::Method::OPTIONS, server.url("/graphql"))
            .header("origin", origin)
            .header("access-control-request-method", "POST");
        Answer::of(request.header("access-control-request-headers", headers)).await
    };
    for headers in [
        "traceparent,tracestate",
        "sentry-trace,baggage",
        "apollographql-client-name,apollographql-client-version",
        "x-requested-with",
        "cache-control,pragma",
        "x-datadog-trace-id,x-datadog-parent-id,x-datadog-origin,x-datadog-sampling-priority",
        "b3,x-b3-traceid,x-b3-spanid",
        "newrelic",
        "elastic-apm-traceparent",
        "uber-trace-id",
        "x-apollo-operation-name,apollo-require-preflight",
        "graphql-client-name,graphql-client-version",
        "idempotency-key,x-request-id",
    ] {
        let answer = preflight(APP, headers).await;
        assert_eq!(answer.header("access-control-allow-origin"), APP, "{headers}");
        let allowed = answer.header("access-control-allow-headers").to_owned();
        for header in headers.split(',') {
            assert!(allowed.split(',').any(|known| known.trim() == header), "{header}: {allowed}");
        }
        let foreign = preflight("https://evil.example.org", headers).await;
        assert!(!foreign.headers.contains_key("access-control-allow-origin"), "{headers}");
    }
}

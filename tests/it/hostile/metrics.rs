//! The metrics: at an address of their own, and without a word that a client sent.

use crate::harness::client::{Answer, Client, plain};
use crate::harness::program::Home;
use crate::harness::upstream::NO_UPSTREAM;
use reqwest::Method;
use serde_json::json;

/// A sample's value; 0 for one that is missing.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// Calls itself and all that it asks for by one word, which must not come back.
async fn swordfish(client: &Client) {
    let registered = client.registered("swordfish").await;
    for id in ["swordfish", "x"] {
        let payload = registered.run("deleteKey", json!({ "id": id })).await;
        assert_eq!(payload["userErrors"][0]["code"], "NOT_FOUND", "{payload}");
    }
    let url = client.url();
    for path in ["/swordfish", "/graphql/swordfish", "/metrics"] {
        let answer =
            Answer::of(client.request(Method::GET, &format!("{url}{path}?swordfish=1"))).await;
        assert_eq!(answer.status, 404, "{path}: not on the address that everybody reaches");
    }
    let method = Method::from_bytes(b"SWORDFISH").unwrap();
    Answer::of(client.request(method, &format!("{url}/health"))).await;
}

#[tokio::test]
async fn metrics_have_an_address_of_their_own_and_name_nobody() {
    let home = Home::new();
    let server = home.serve_with(NO_UPSTREAM, |command| {
        command.env("CLAVIGER_METRICS_LISTEN", "127.0.0.1:0");
    });
    server.logged("metrics at /metrics").await;
    let log = home.log();
    let line = log.lines().find(|line| line.contains("metrics at /metrics")).unwrap();
    let address = line.rsplit("address=").next().unwrap().trim();
    let http = plain().user_agent("swordfish-agent").build().unwrap();
    let client = Client::over(http, server.url());
    swordfish(&client).await;

    let url = format!("http://{address}/metrics");
    let as_open = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let asked = client.request(Method::GET, &url).header("accept", as_open);
    let answer = Answer::of(asked).await;
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    let text = answer.text;
    for (name, value) in [
        ("claviger_http_requests_total{route=\"/graphql\",method=\"POST\",status=\"2xx\"}", 3.0),
        ("claviger_http_requests_total{route=\"unknown\",method=\"GET\",status=\"4xx\"}", 3.0),
        ("claviger_http_requests_total{route=\"/health\",method=\"other\",status=\"4xx\"}", 1.0),
        ("claviger_http_request_seconds_count{route=\"/graphql\"}", 3.0),
        ("claviger_key_commands_total{command=\"delete\",code=\"NOT_FOUND\"}", 2.0),
        ("claviger_appends_total{outcome=\"done\"}", 1.0),
        ("claviger_append_seconds_count", 1.0),
        ("claviger_events_total", 2.0),
        ("claviger_key_command_seconds_count{command=\"delete\"}", 2.0),
    ] {
        assert!(
            (sample(&text, name) - value).abs() < f64::EPSILON,
            "{name} is {}: {text}",
            sample(&text, name)
        );
    }
    assert!(sample(&text, "claviger_connections ") >= 1.0, "{text}");
    assert!(sample(&text, "claviger_memory_resident_bytes ") > 1e6, "{text}");
    assert!(!text.to_lowercase().contains("swordfish"), "{text}");
    assert!(text.ends_with("# EOF\n"));

    // What doesn't ask for OpenMetrics can't be expected to read it.
    for accept in [None, Some("text/plain;version=0.0.4"), Some("*/*"), Some("text/html")] {
        let asked = client.request(Method::GET, &url);
        let asked = accept.into_iter().fold(asked, |asked, it| asked.header("accept", it));
        let answer = Answer::of(asked).await;
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        assert_eq!(answer.header("vary"), "accept");
        let text = answer.text;
        assert!(text.contains("# TYPE claviger_http_requests_total counter\n"), "{text}");
        assert!(text.contains("# TYPE claviger_http_request_seconds histogram\n"), "{text}");
        assert!(text.contains("# TYPE claviger_connections gauge\n"), "{text}");
        assert!(text.contains("claviger_events_total 2\n"), "{text}");
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"), "{text}");
    }
    server.stop().await;
}

//! What the layer writes down of a request.

use super::fixture::Running;
use crate::harness::client::{Answer, MODERN};
use serde_json::json;
use std::io::Write;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// On one thread, so that this thread's subscriber sees the server too.
#[tokio::test]
async fn nothing_that_a_client_sends_is_logged() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // With a single dispatcher alive, tracing asks the thread that comes by first whether anybody
    // listens, and other tests' threads say no for good. With two it asks both.
    let _second =
        tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
    let guard = tracing::subscriber::set_default(subscriber);
    let server = Running::start().await;
    let get = |path: &str| Answer::of(server.client.get(server.url(path)));
    get("/graphql?query=%7Bhello(name%3A%22swordfish%22)%7D").await;
    get("/graphql?query=swordfish").await;
    get("/swordfish").await;
    Answer::of(server.client.request(
        reqwest::Method::from_bytes(b"SWORDFISH").expect("a token"),
        server.url("/graphql"),
    ))
    .await;
    let context = server.post(MODERN, json!({"query": "{ hello }"}).to_string());
    Answer::of(
        context.header("authorization", "Bearer swordfish").header("user-agent", "swordfish"),
    )
    .await;
    server.ask_with("query($s: Secret!) { length(secret: $s) }", json!({"s": "swordfish"})).await;
    server.ask("{ length(secret: \"swordfish\") }").await;
    server.ask("{ fault }").await;
    let panicked = server.ask("{ boom }").await;
    server.stop().await;
    drop(guard);

    let bytes = captured.0.lock().expect("not poisoned").clone();
    let log = String::from_utf8(bytes).expect("text");
    assert!(log.contains("request answered") && log.contains("route=\"/graphql\""), "{log}");
    assert!(log.contains(panicked.header("x-request-id")), "a failure is found by its id");
    assert!(!log.to_lowercase().contains("swordfish"), "{log}");
}

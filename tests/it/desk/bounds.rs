//! Rude and slow clients, strange requests, other versions.

use crate::harness::program::Home;
use crate::harness::upstream::NO_UPSTREAM;
use claviger::socket::{Asked, Bounds, Desk, FILE, KEY_FILE, LocalServer, Refusal};
use claviger_domain::secret::SecretText;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn connected(dir: &Path) -> UnixStream {
    UnixStream::connect(dir.join(FILE)).await.unwrap()
}

async fn frame(stream: &mut UnixStream, bytes: &[u8]) {
    stream.write_u32(u32::try_from(bytes.len()).unwrap()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
}

/// What a program that reads the data directory knows.
pub(super) fn key_of(dir: &Path) -> String {
    std::fs::read_to_string(dir.join(KEY_FILE)).unwrap()
}

/// A whole request.
pub(super) async fn request(stream: &mut UnixStream, head: &Value, secret: &str) {
    frame(stream, head.to_string().as_bytes()).await;
    frame(stream, secret.as_bytes()).await;
}

/// All frames until the end.
pub(super) async fn said(stream: &mut UnixStream) -> Vec<Value> {
    let mut frames = Vec::new();
    while let Ok(length) = stream.read_u32().await {
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut bytes).await.unwrap();
        frames.push(serde_json::from_slice(&bytes).unwrap());
    }
    frames
}

/// The code and the message of a refusal.
async fn refused(stream: &mut UnixStream) -> (String, String) {
    let frames = said(stream).await;
    assert_eq!(frames.len(), 1, "{frames:?}");
    let text = |name: &str| frames[0]["refused"][name].as_str().unwrap().to_owned();
    (text("code"), text("message"))
}

#[tokio::test]
async fn a_strange_request_is_refused_and_its_text_not_repeated() {
    let home = Home::new();
    home.run(&["user", "add", "ada", "--email", "ada@example.org"]).assert_code(0);
    let server = home.serve(NO_UPSTREAM);
    let key = key_of(&home.data());
    let ask = json!({"operation": "VaultStatus", "json": false, "given": {}});
    for (head, code, word) in [
        (
            json!({"version": "9.9.9", "key": "", "ask": {"swordfish": 1}}),
            "CONFLICT",
            "this program is 9.9.9",
        ),
        (
            json!({"version": "\u{1b}[2J", "key": key, "ask": ask}),
            "CONFLICT",
            "this program is [2J",
        ),
        (
            json!({"version": VERSION, "key": "swordfish", "ask": ask}),
            "FORBIDDEN",
            "may read the data directory",
        ),
        (json!({"swordfish": VERSION, "key": key, "ask": ask}), "BAD_REQUEST", "no request"),
        (
            json!({"version": VERSION, "key": key, "ask": {"operation": "Swordfish", "json": false, "given": {}}}),
            "BAD_REQUEST",
            "does not know",
        ),
        (
            json!({"version": VERSION, "key": key, "ask": {"operation": "VaultStatus", "json": false, "given": {"max_keys": 3}}}),
            "VALIDATION",
            "another max_keys",
        ),
    ] {
        let mut stream = connected(&home.data()).await;
        request(&mut stream, &head, "").await;
        let (found, message) = refused(&mut stream).await;
        assert!(found == code && message.contains(word), "{found} {message}");
        assert!(!message.contains("swordfish"), "{message}");
        if code == "CONFLICT" {
            assert!(message.contains(VERSION), "{message} names both");
        }
    }
    let mut stream = connected(&home.data()).await;
    stream.write_u32(u32::MAX).await.unwrap();
    let (code, message) = refused(&mut stream).await;
    assert!(code == "BAD_REQUEST" && message.contains("longer than"), "{message}");
    let mut stream = connected(&home.data()).await;
    frame(&mut stream, json!({"version": VERSION, "key": key, "ask": ask}).to_string().as_bytes())
        .await;
    stream.write_u32(1).await.unwrap();
    stream.write_u8(0xff).await.unwrap();
    assert_eq!(refused(&mut stream).await.1, "the secret is not UTF-8 text");
    let mut stream = connected(&home.data()).await;
    stream.write_all(&[0, 0]).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(refused(&mut stream).await.1, "the request ends in its middle");
    // A good one goes on.
    let mut stream = connected(&home.data()).await;
    request(&mut stream, &json!({"version": VERSION, "key": key, "ask": ask}), "").await;
    assert_eq!(said(&mut stream).await.last(), Some(&json!({"end": 0})));
    server.stop().await;
    assert!(!home.log().contains("swordfish"));
}

#[tokio::test]
async fn settings_that_the_server_has_otherwise_are_refused_and_not_ignored() {
    let home = Home::new();
    home.run(&["user", "add", "ada", "--email", "ada@example.org"]).assert_code(0);
    let server = home.serve(NO_UPSTREAM);
    let add = ["key", "add", "--user", "ada", "--name", "work", "--max-keys", "7"];
    let secret = claviger::simulator::keys::key(claviger::simulator::keys::Scenario::Good, 1);
    home.run_with(&add, &secret).assert_refused(13, &["another max_keys", "stop the server"]);
    home.run_with(&[&add[..6], &["--max-keys", "100"]].concat(), &secret).assert_code(0);
    let other =
        ["key", "test", "--user", "ada", "work", "--anthropic-base-url", "http://127.0.0.1:1"];
    home.run(&other).assert_refused(13, &["another anthropic_base_url"]);
    server.stop().await;
}

#[tokio::test]
async fn clients_beyond_the_bound_are_refused_and_the_next_is_served() {
    let home = Home::new();
    home.run(&["user", "add", "ada", "--email", "ada@example.org"]).assert_code(0);
    let server = home.serve(NO_UPSTREAM);
    let mut silent = Vec::new();
    for _ in 0..Bounds::default().clients {
        silent.push(connected(&home.data()).await);
    }
    home.run(&["user", "list"]).assert_refused(18, &["RATE_LIMITED"]);
    // Each gives its place back when it goes; this one says so.
    let mut first = silent.remove(0);
    first.write_u32(u32::MAX).await.unwrap();
    refused(&mut first).await;
    drop(first);
    home.run(&["user", "list"]).assert_code(0);
    // Silent clients hold no shutdown up.
    server.stop().await;
    for stream in &mut silent {
        assert_eq!(refused(stream).await.0, "SHUTTING_DOWN");
    }
}

/// Says much, then waits until nobody wants it; tells that it ended.
struct Endless {
    bytes: usize,
    ended: mpsc::UnboundedSender<()>,
}

impl Desk for Endless {
    fn serve(&self, asked: Asked) -> BoxFuture<'_, Result<u8, Refusal>> {
        Box::pin(async move {
            asked.to.out(&"x".repeat(self.bytes));
            asked.over.cancelled().await;
            self.ended.send(()).unwrap();
            Ok(0)
        })
    }
}

fn endless(
    bytes: usize,
    bounds: Bounds,
) -> (tempfile::TempDir, CancellationToken, TaskTracker, mpsc::UnboundedReceiver<()>) {
    let (dir, stop, tasks) =
        (tempfile::tempdir().unwrap(), CancellationToken::new(), TaskTracker::new());
    let (ended, told) = mpsc::unbounded_channel();
    let server =
        LocalServer::bind(dir.path(), bounds, &SecretText::new("open".to_owned())).unwrap();
    tasks.spawn(server.run(Arc::new(Endless { bytes, ended }), stop.clone()));
    (dir, stop, tasks, told)
}

fn whole() -> Value {
    json!({"version": VERSION, "key": "open", "ask": null})
}

#[tokio::test]
async fn a_client_that_sends_its_request_too_slowly_is_refused() {
    let soon = Bounds { request: Duration::from_millis(20), ..Bounds::default() };
    let (dir, stop, tasks, _told) = endless(0, soon);
    let mut stream = connected(dir.path()).await;
    stream.write_u8(0).await.unwrap();
    assert_eq!(refused(&mut stream).await.0, "TIMEOUT");
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_given_up() {
    let soon = Bounds { frame: Duration::from_millis(20), ..Bounds::default() };
    let (dir, stop, tasks, mut told) = endless(64 << 20, soon);
    let mut stream = connected(dir.path()).await;
    request(&mut stream, &whole(), "").await;
    assert_eq!(told.recv().await, Some(()), "it was told that nobody wants more");
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    drop(stream);
}

#[tokio::test]
async fn a_client_that_goes_or_says_more_stops_what_it_asked_for() {
    let (dir, stop, tasks, mut told) = endless(0, Bounds::default());
    let mut stream = connected(dir.path()).await;
    request(&mut stream, &whole(), "").await;
    drop(stream);
    assert_eq!(told.recv().await, Some(()));
    // Half closed: it wants no more, and hears the end.
    let mut stream = connected(dir.path()).await;
    request(&mut stream, &whole(), "").await;
    stream.shutdown().await.unwrap();
    assert_eq!(told.recv().await, Some(()));
    assert_eq!(said(&mut stream).await, [json!({"end": 0})]);
    let mut stream = connected(dir.path()).await;
    request(&mut stream, &whole(), "").await;
    stream.write_u8(1).await.unwrap();
    assert_eq!(told.recv().await, Some(()));
    // And so does a server that stops.
    let mut stream = connected(dir.path()).await;
    request(&mut stream, &whole(), "").await;
    let mut silent = connected(dir.path()).await;
    silent.write_u8(0).await.unwrap();
    stop.cancel();
    assert_eq!(refused(&mut silent).await.0, "SHUTTING_DOWN");
    tasks.close();
    tasks.wait().await;
    assert!(!dir.path().join(FILE).exists());
}

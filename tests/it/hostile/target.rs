//! A server to attack, and an honest client of it.

use crate::harness::client::{Answer, MODERN, http};
use crate::harness::dice::number;
use crate::harness::program::{Home, Server};
use crate::harness::upstream::NO_UPSTREAM;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A bound for what comes at once or never.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// How much the server may grow in an attack, in KiB. Buffers of some hundred connections and the
/// allocator's reserve; what is kept for each frame or connection of a flood would be many times
/// that.
const GROWTH_KIB: u64 = 48 * 1024;

pub(super) struct Target {
    server: Server,
    pub(super) client: reqwest::Client,
    _home: Home,
}

impl Target {
    pub(super) fn start() -> Self {
        let home = Home::new();
        // No request goes to an upstream here.
        let server = home.serve(NO_UPSTREAM);
        Self { server, client: http(), _home: home }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    pub(super) async fn connect(&self) -> TcpStream {
        let address = self.server.url().trim_start_matches("http://");
        TcpStream::connect(address).await.unwrap()
    }

    /// Status, code of the first error, text.
    pub(super) async fn ask(&self, body: &Value) -> (u16, String, String) {
        let request = self.client.post(self.url("/graphql")).header("accept", MODERN);
        answer(request.header("content-type", "application/json").body(body.to_string())).await
    }

    pub(super) async fn query(&self, query: &str) -> (u16, String, String) {
        self.ask(&json!({ "query": query })).await
    }

    /// Another client's request, which must be answered.
    pub(super) async fn honest(&self) -> Duration {
        let asked = Instant::now();
        let answer =
            timeout(PATIENCE, self.query("{ __typename }")).await.expect("others are answered");
        assert_eq!((answer.0, answer.2.as_str()), (200, "{\"data\":{\"__typename\":\"Query\"}}"));
        asked.elapsed()
    }

    fn memory_kib(&self) -> u64 {
        let memory_kib = self.server.memory_kib();
        assert!(memory_kib > 0, "the memory of the server is unknown");
        memory_kib
    }

    /// Runs an attack, again and again for `CLAVIGER_TEST_SECONDS` if that is set; meanwhile others
    /// are answered, and afterwards the server is as large as before.
    pub(super) async fn endures(&self, name: &str, attack: impl AsyncFn()) {
        let seconds = number("CLAVIGER_TEST_SECONDS").map(Duration::from_secs);
        let mut calm = Vec::new();
        let began_at = Instant::now();
        while calm.len() < 50 || seconds.is_some_and(|seconds| began_at.elapsed() < seconds) {
            calm.push(self.honest().await);
        }
        let before = self.memory_kib();
        let mut attacked = Vec::new();
        let began_at = Instant::now();
        let mut attacks = std::pin::pin!(async {
            attack().await;
            while seconds.is_some_and(|seconds| began_at.elapsed() < seconds) {
                attack().await;
            }
        });
        let others = async {
            loop {
                attacked.push(self.honest().await);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = &mut attacks => {}
            () = others => {}
        }
        self.honest().await;
        let after = self.memory_kib();
        println!(
            "{name}: others before {}, meanwhile {}; {before} KiB before, {after} KiB after",
            figures(calm),
            figures(attacked)
        );
        assert!(after < before + GROWTH_KIB, "{name}: {before} KiB became {after} KiB");
    }
}

fn figures(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| {
        times
            .get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    format!("{} (p50 {:?}, p99 {:?})", times.len(), at(50), at(99))
}

pub(super) async fn answer(request: reqwest::RequestBuilder) -> (u16, String, String) {
    let answer = Answer::of(request).await;
    (answer.status, answer.code(), answer.text)
}

/// Everything the server still sends, until it closes.
pub(super) async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match timeout(PATIENCE, stream.read(&mut piece)).await.expect("the server closes") {
            // Closed in order, or reset because we had sent more than it wanted.
            Ok(0) | Err(_) => return said,
            Ok(read) => said.extend_from_slice(&piece[..read]),
        }
    }
}

//! The accept loop: slow clients, too many, and the end.

use super::fixture::{Options, Running};
use crate::harness::client::{Answer, MODERN, plain};
use claviger::http::connection::server::{BindError, Drained, Server, ServerSettings};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Long enough for a loaded machine; what is waited for comes at once or never.
const PATIENCE: Duration = Duration::from_secs(20);

async fn with(server: ServerSettings) -> Running {
    Running::with(Options { server, ..Options::default() }).await
}

const HELLO: &str = "GET /graphql?query=%7Bhello%7D HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn clients_that_send_their_headers_too_slowly_are_closed() {
    let server = with(ServerSettings {
        header_read_timeout: Duration::from_millis(100),
        ..ServerSettings::default()
    })
    .await;
    for sent in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "GET / HT",
        "GET /health HTTP/1.1\r\nhost: localhost\r\nx-more: ",
    ] {
        let mut stream = TcpStream::connect(server.address).await.expect("a connection");
        stream.write_all(sent.as_bytes()).await.expect("sent");
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{sent:?} is still connected");
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{sent:?}");
    }
}

#[tokio::test]
async fn a_request_that_outlasts_the_header_timeout_is_answered() {
    let server = with(ServerSettings {
        header_read_timeout: Duration::from_millis(100),
        ..ServerSettings::default()
    })
    .await;
    let request = server.post(MODERN, json!({"query": "{ wait }"}).to_string());
    let release = async {
        server.shared.gate.entered.notified().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.shared.gate.release.notify_one();
    };
    let (answer, ()) = tokio::join!(Answer::of(request), release);
    assert_eq!(answer.json(), json!({"data": {"wait": true}}));
}

/// A connection on which one request was answered, and the response's head.
async fn after_one(server: &Running, request: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    let head = ask(&mut stream, request).await;
    (stream, head)
}

/// Sends a request and reads its response to the end; the head.
async fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("sent");
    let (mut text, mut byte) = (String::new(), [0]);
    while !text.ends_with("\r\n\r\n") {
        timeout(PATIENCE, stream.read_exact(&mut byte)).await.expect("in time").expect("a head");
        text.push(char::from(byte[0]));
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    stream.read_exact(&mut body).await.expect("a body");
    text
}

/// Whether the other end closes within so long.
async fn closes_within(stream: &mut TcpStream, within: Duration) -> bool {
    let mut rest = Vec::new();
    timeout(within, stream.read_to_end(&mut rest)).await.is_ok()
}

/// Load balancers keep idle connections for a minute and send the next request at any time in it.
#[tokio::test]
async fn an_idle_connection_outlasts_the_time_for_headers_and_says_how_long_it_is_kept() {
    let default = ServerSettings::default();
    assert!(default.idle >= Duration::from_secs(75));
    let server = with(ServerSettings {
        header_read_timeout: Duration::from_millis(50),
        ..ServerSettings::default()
    })
    .await;
    let (mut stream, head) = after_one(&server, HELLO).await;
    assert!(head.contains("\r\nkeep-alive: timeout=75\r\n"), "{head}");
    for _ in 0..3 {
        assert!(!closes_within(&mut stream, Duration::from_millis(150)).await);
        let head = ask(&mut stream, HELLO).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
    // A head that has begun takes no longer for that.
    stream.write_all(b"GET /graphql?query=%7Bhello%7D HTTP/1.1\r\n").await.expect("sent");
    assert!(closes_within(&mut stream, PATIENCE).await);
    // Who closes says nothing about keeping.
    let close = HELLO.replace("localhost", "localhost\r\nconnection: close");
    let (mut stream, head) = after_one(&server, &close).await;
    assert!(closes_within(&mut stream, PATIENCE).await, "{head}");
}

#[tokio::test]
async fn an_idle_connection_ends_after_its_time_in_order() {
    let server = with(ServerSettings {
        header_read_timeout: Duration::from_millis(50),
        idle: Duration::from_millis(100),
        ..ServerSettings::default()
    })
    .await;
    let (mut stream, head) = after_one(&server, HELLO).await;
    assert!(!head.contains("keep-alive:"), "less than a second can't be announced: {head}");
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it ends");
    assert_eq!((ended.expect("in order"), rest.len()), (0, 0));
}

#[tokio::test]
async fn an_idle_connection_makes_room_where_all_places_are_taken() {
    let server = with(ServerSettings {
        header_read_timeout: Duration::from_millis(100),
        max_connections: 1,
        ..ServerSettings::default()
    })
    .await;
    let (mut idle, _) = after_one(&server, HELLO).await;
    let (_, head) = after_one(&server, HELLO).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(closes_within(&mut idle, PATIENCE).await);
}

#[tokio::test]
async fn an_http_2_connection_is_kept_beyond_the_time_for_headers() {
    let server = with(ServerSettings {
        header_read_timeout: Duration::from_millis(50),
        idle: Duration::from_millis(50),
        ..ServerSettings::default()
    })
    .await;
    let client = plain().http2_prior_knowledge().build().expect("a client");
    for _ in 0..3 {
        let response = client.get(server.url("/graphql?query=%7Bhello%7D")).send().await;
        let response = response.expect("an answer");
        assert!(!response.headers().contains_key("keep-alive"), "HTTP/2 has no such header");
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
}

#[tokio::test]
async fn http_2_is_spoken_on_the_same_port() {
    let server = Running::start().await;
    let client = plain().http2_prior_knowledge().build().expect("a client");
    let response =
        client.get(server.url("/graphql?query=%7Bhello%7D")).send().await.expect("an answer");
    assert_eq!((response.version(), response.status().as_u16()), (reqwest::Version::HTTP_2, 200));
}

#[tokio::test]
async fn connections_over_the_cap_wait_for_a_place() {
    let server = with(ServerSettings { max_connections: 1, ..ServerSettings::default() }).await;
    let mut first = TcpStream::connect(server.address).await.expect("a connection");
    first.write_all(HELLO.as_bytes()).await.expect("sent");
    let mut byte = [0];
    first.read_exact(&mut byte).await.expect("the first is served");

    let mut second = TcpStream::connect(server.address).await.expect("the kernel takes it");
    second.write_all(HELLO.as_bytes()).await.expect("sent");
    assert!(
        timeout(Duration::from_millis(200), second.read_exact(&mut byte)).await.is_err(),
        "the second has to wait"
    );
    drop(first);
    let turn = timeout(PATIENCE, second.read_exact(&mut byte)).await;
    assert!(turn.is_ok_and(|read| read.is_ok()), "its turn comes");
}

#[tokio::test]
async fn shutdown_finishes_what_runs_and_takes_nothing_new() {
    let server = Running::start().await;
    let address = server.address;
    // An idle connection must not hold the server up.
    let mut idle = TcpStream::connect(address).await.expect("a connection");
    idle.write_all(HELLO.as_bytes()).await.expect("sent");
    idle.read_exact(&mut [0]).await.expect("served");

    let request = server.post(MODERN, json!({"query": "{ wait }"}).to_string());
    let shared = std::sync::Arc::clone(&server.shared);
    let asked = Answer::of(request);
    let stopped = async {
        shared.gate.entered.notified().await;
        let stopping = server.stop();
        let refused = async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
            shared.gate.release.notify_one();
        };
        let (drained, ()) = tokio::join!(stopping, refused);
        drained
    };
    let (answer, drained) =
        timeout(PATIENCE, async { tokio::join!(asked, stopped) }).await.expect("it ends");
    assert_eq!(answer.json(), json!({"data": {"wait": true}}));
    assert_eq!(drained, Drained { cut: 0 });
}

#[tokio::test]
async fn what_outlasts_the_drain_deadline_is_cut_and_counted() {
    let server =
        with(ServerSettings { drain: Duration::from_millis(50), ..ServerSettings::default() })
            .await;
    let asked = server.post(MODERN, json!({"query": "{ wait }"}).to_string()).send();
    let shared = std::sync::Arc::clone(&server.shared);
    let stopped = async {
        shared.gate.entered.notified().await;
        server.stop().await
    };
    let (answer, drained) =
        timeout(PATIENCE, async { tokio::join!(asked, stopped) }).await.expect("it ends");
    assert!(answer.is_err());
    assert_eq!(drained, Drained { cut: 1 });
}

#[tokio::test]
async fn a_client_that_reads_no_answer_is_cut_off() {
    let server = with(ServerSettings {
        write_stall: Duration::from_millis(100),
        ..ServerSettings::default()
    })
    .await;
    let mut client = TcpStream::connect(server.address).await.expect("a connection");
    // Never read: once the system's buffers are full the server can neither write nor read any
    // more.
    let asked = async {
        while client
            .write_all("GET /graphiql/page.js HTTP/1.1\r\nhost: localhost\r\n\r\n".as_bytes())
            .await
            .is_ok()
        {}
    };
    timeout(PATIENCE, asked).await.expect("the server ends it");
}

#[tokio::test]
async fn an_address_in_use_says_what_to_do() {
    let server = Running::start().await;
    let error = Server::bind(server.address, ServerSettings::default()).await.expect_err("in use");
    assert!(matches!(error, BindError::AddressInUse { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "{} is in use: stop the program that listens there, or choose another address with --listen or CLAVIGER_LISTEN",
            server.address
        )
    );
    let elsewhere = std::net::SocketAddr::from(([192, 0, 2, 1], 0));
    let error = Server::bind(elsewhere, ServerSettings::default()).await.expect_err("not ours");
    assert!(matches!(error, BindError::Unusable { .. }));
}

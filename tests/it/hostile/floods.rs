//! Bytes that are no requests, too many, or never end.

use super::target::{PATIENCE, Target, until_closed};
use claviger_bench::http2::{
    BEGUN_POST, CONTINUATION, DATA, END_HEADERS, HEADERS, PING, POST, SETTINGS, frame, preface,
    resets,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// Sends as long as the server takes it, reading its answers meanwhile, so that neither side
/// blocks; ends when it closes or all is sent.
async fn flood(target: &Target, pieces: impl Iterator<Item = Vec<u8>>) -> bool {
    let (mut reading, mut writing) = target.connect().await.into_split();
    let listening = async {
        let mut piece = [0; 4096];
        while reading.read(&mut piece).await.is_ok_and(|read| read > 0) {}
    };
    let sending = async {
        if writing.write_all(&preface()).await.is_err() {
            return true;
        }
        for piece in pieces {
            if writing.write_all(&piece).await.is_err() {
                return true;
            }
        }
        false
    };
    tokio::select! {
        () = listening => true,
        closed = timeout(PATIENCE, sending) => closed.expect("the server goes on reading, or closes"),
    }
}

#[tokio::test]
async fn streams_opened_and_reset_end_the_connection() {
    let target = Target::start();
    target
        .endures("rapid reset", async || {
            assert!(flood(&target, resets(200_000)).await, "the server closes such a connection");
        })
        .await;
}

#[tokio::test]
async fn frames_that_say_nothing_cost_nothing() {
    let target = Target::start();
    let opened = || std::iter::once(frame(HEADERS, END_HEADERS, 1, BEGUN_POST));
    let begun = || std::iter::once(frame(HEADERS, 0, 1, &POST));
    let times = 100_000;
    target
        .endures("empty DATA", async || {
            let closed =
                flood(&target, opened().chain(std::iter::repeat_n(frame(DATA, 0, 1, &[]), times)))
                    .await;
            assert!(closed, "a body of nothing ends the connection");
        })
        .await;
    target
        .endures("empty CONTINUATION", async || {
            let closed = flood(
                &target,
                begun().chain(std::iter::repeat_n(frame(CONTINUATION, 0, 1, &[]), times)),
            )
            .await;
            assert!(closed, "headers that never end end the connection");
        })
        .await;
    target
        .endures("long CONTINUATION", async || {
            // An unknown header, again and again: far more than the bound of headers.
            let mut field = vec![0x00, 0x01, b'x', 0x7f, 0x81, 0x3f];
            field.extend([b'y'; 8192]);
            let closed = flood(
                &target,
                begun().chain(std::iter::repeat_n(frame(CONTINUATION, 0, 1, &field), 20_000)),
            )
            .await;
            assert!(closed, "headers that never end end the connection");
        })
        .await;
    target
        .endures("SETTINGS", async || {
            flood(&target, std::iter::repeat_n(frame(SETTINGS, 0, 0, &[]), times)).await;
        })
        .await;
    target
        .endures("PING", async || {
            flood(&target, std::iter::repeat_n(frame(PING, 0, 0, &[7; 8]), times)).await;
        })
        .await;
}

#[tokio::test]
async fn bytes_of_no_protocol_are_answered_by_an_end() {
    let target = Target::start();
    let hello =
        [&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc][..], &[0x5a; 300]].concat();
    let long = [b"GET /".to_vec(), vec![b'a'; 2_000_000]].concat();
    let many = (0..5_000).fold(b"GET /health HTTP/1.1\r\n".to_vec(), |bytes, n| {
        [bytes, format!("x{n}: y\r\n").into_bytes()].concat()
    });
    for (name, bytes) in [
        ("TLS", hello),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n\r\n\r\n\r\n".to_vec()),
        ("zeros", vec![0; 5_000]),
        ("a long line", long),
        ("many headers", [many, b"\r\n".to_vec()].concat()),
        ("two lengths", b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello".to_vec()),
        ("a length and chunks", b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-length: zebra\r\n\r\n".to_vec()),
        ("an unknown version", b"GET / HTTP/9.9\r\n\r\n".to_vec()),
    ] {
        target
            .endures(name, async || {
                let mut stream = target.connect().await;
                // The server may have had enough before all is sent.
                drop(stream.write_all(&bytes).await);
                let said = until_closed(&mut stream).await;
                let said = String::from_utf8_lossy(&said);
                assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{name}: {said}");
            })
            .await;
    }
}

#[tokio::test]
async fn a_body_too_large_is_refused_by_its_length_alone() {
    let target = Target::start();
    target
        .endures("10 MB announced", async || {
            for _ in 0..200 {
                let mut stream = target.connect().await;
                let head =
                    "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10485760\r\n\r\n{";
                stream.write_all(head.as_bytes()).await.unwrap();
                let mut said = [0; 12];
                timeout(PATIENCE, stream.read_exact(&mut said)).await.expect("an answer without the body").unwrap();
                assert_eq!(&said, b"HTTP/1.1 413");
            }
        })
        .await;
    target
        .endures("10 MB in chunks", async || {
            for _ in 0..20 {
                let mut stream = target.connect().await;
                let head =
                    "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x1_0000], b"\r\n".to_vec()].concat();
                for _ in 0..160 {
                    if stream.write_all(&chunk).await.is_err() {
                        break;
                    }
                }
                let said = until_closed(&mut stream).await;
                assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&said));
            }
        })
        .await;
    target
        .endures("deep JSON", async || {
            for open in ["[", "{\"a\":", "{\"query\": [{\"query\": "] {
                let body = open.repeat(1_000_000 / open.len());
                let request = target
                    .client
                    .post(target.url("/graphql"))
                    .header("content-type", "application/json")
                    .body(body);
                assert_eq!(request.send().await.unwrap().status().as_u16(), 400);
            }
        })
        .await;
}

#[tokio::test]
async fn a_thousand_clients_that_never_finish_their_headers_keep_nobody_out() {
    let target = Target::start();
    target
        .endures("slow headers", async || {
            let slow = (0..1_000).map(async |n| {
                let mut stream = target.connect().await;
                let begun: &[u8] = if n % 2 == 0 {
                    b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-more: "
                } else {
                    b"PRI * HT"
                };
                stream.write_all(begun).await.unwrap();
                let said = until_closed(&mut stream).await;
                assert!(!said.starts_with(b"HTTP/1.1 200"));
            });
            // All of them are closed by the server: none holds its place for ever.
            futures::future::join_all(slow).await;
        })
        .await;
}

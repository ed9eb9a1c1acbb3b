//! The attacks. Each is a set of byte strings, sent by connections in turn, and a rate of
//! connections.

use super::http2::{
    BEGUN_POST, CONTINUATION, DATA, END_HEADERS, HEADERS, PING, POST, SETTINGS, frame, preface,
    resets,
};
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// The byte strings that connections send, in turn.
    pub(super) sends: Vec<Arc<[u8]>>,
    /// Most connections started per second.
    pub(super) per_s: u32,
    /// Most connections at a time.
    pub(super) at_once: usize,
    /// Connections stay open without sending more, until the server closes them.
    pub(super) lingers: bool,
}

/// All attacks.
pub(super) fn all() -> Vec<Attack> {
    let attack = |name, sends: Vec<Vec<u8>>, per_s| {
        let sends = sends.into_iter().map(Arc::from).collect();
        Attack { name, sends, per_s, at_once: 32, lingers: false }
    };
    let slow = [&b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-more: "[..], b"PRI * HT"]
        .map(<[u8]>::to_vec)
        .to_vec();
    vec![
        attack("graphql-cop, 13 checks", cop(), 100),
        attack("10 MB bodies", large_bodies(), 20),
        attack("deep JSON, 1 MB", deep_json(), 20),
        Attack {
            at_once: 1_000,
            lingers: true,
            ..attack("slow headers, 1,000 connections", slow, 500)
        },
        attack(
            "HTTP/2 resets, 1,000 each",
            vec![[preface(), resets(1_000).flatten().collect()].concat()],
            20,
        ),
        attack("HTTP/2 empty frames, 5,000 each", empty_frames(5_000), 20),
        attack("bytes of no protocol", garbage(), 50),
        attack("garbage on a WebSocket", vec![broken_socket()], 50),
    ]
}

fn request(method: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: application/json\r\ncontent-type: {content_type}\r\n\
         content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The checks of graphql-cop.
fn cop() -> Vec<Vec<u8>> {
    let aliases = (0..101)
        .fold("query cop { ".to_owned(), |text, n| format!("{text}a{n}: __typename "))
        + "}";
    let inner = "fields { type { ".repeat(5);
    let circular =
        format!("query cop {{ __schema {{ types {{ {inner} name {} }} }} }}", " } }".repeat(5));
    let documents = [
        json!({ "query": aliases }),
        Value::Array(vec![json!({ "query": "{ __typename }" }); 11]),
        json!({ "query": format!("query cop {{ __typename {} }}", "@aa".repeat(500)) }),
        json!({ "query": format!("query cop {{ {} }}", "__typename ".repeat(500)) }),
        json!({ "query": "query cop { ...A } fragment A on Query { ...B } fragment B on Query { ...A }" }),
        json!({ "query": circular }),
        json!({ "query": "query cop { __schema { directive } }" }),
        json!({ "query": "qwerty cop { __typename" }),
        json!({ "query": "query cop { __schema { types { name fields { name } } } }" }),
    ];
    let mut requests: Vec<_> = documents
        .iter()
        .map(|body| request("POST", "/graphql", "application/json", body.to_string().as_bytes()))
        .collect();
    requests.push(request(
        "GET",
        "/graphql?query=mutation+cop+%7B__typename%7D",
        "application/json",
        b"",
    ));
    requests.push(request(
        "GET",
        "/graphql?query=query+cop+%7B__typename%7D",
        "application/json",
        b"",
    ));
    requests.push(request(
        "POST",
        "/graphql",
        "application/x-www-form-urlencoded",
        b"query=mutation+cop+%7B__typename%7D",
    ));
    requests.push(request("GET", "/graphiql", "text/html", b""));
    requests
}

fn large_bodies() -> Vec<Vec<u8>> {
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x1_0000], b"\r\n".to_vec()].concat();
    let head = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    vec![
        request("POST", "/graphql", "application/json", &vec![b' '; 10 * 1024 * 1024]),
        [head.as_bytes().to_vec(), chunk.repeat(160)].concat(),
    ]
}

fn deep_json() -> Vec<Vec<u8>> {
    let deep = |open: &str| {
        request(
            "POST",
            "/graphql",
            "application/json",
            open.repeat(1_000_000 / open.len()).as_bytes(),
        )
    };
    ["[", "{\"a\":", "{\"query\": [{\"query\": "].map(deep).to_vec()
}

fn empty_frames(times: usize) -> Vec<Vec<u8>> {
    let flood = |begin: Vec<u8>, again: Vec<u8>| [preface(), begin, again.repeat(times)].concat();
    vec![
        flood(frame(HEADERS, END_HEADERS, 1, BEGUN_POST), frame(DATA, 0, 1, &[])),
        flood(frame(HEADERS, 0, 1, &POST), frame(CONTINUATION, 0, 1, &[])),
        flood(Vec::new(), frame(SETTINGS, 0, 0, &[])),
        flood(Vec::new(), frame(PING, 0, 0, &[7; 8])),
    ]
}

fn garbage() -> Vec<Vec<u8>> {
    let many = (0..5_000)
        .fold("GET /health HTTP/1.1\r\n".to_owned(), |text, n| format!("{text}x{n}: y\r\n"));
    vec![
        [&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc][..], &[0x5a; 300]].concat(),
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n\r\n\r\n".to_vec(),
        vec![0; 5_000],
        [b"GET /".to_vec(), vec![b'a'; 500_000]].concat(),
        many.into_bytes(),
        b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello"
            .to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
    ]
}

fn broken_socket() -> Vec<u8> {
    let upgrade = "GET /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-protocol: graphql-transport-ws\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    [upgrade.as_bytes(), &[0xFF; 4096]].concat()
}

//! A client of `graphql-transport-ws` that can also break the rules.

use crate::harness::client::Client;
use crate::harness::process::Process;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Waits, but not for ever: a server that hangs fails the test.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), what).await.expect("it takes too long")
}

/// Waits until something is so.
pub(super) async fn until(mut is_so: impl FnMut() -> bool) {
    soon(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

pub(super) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opened, without a message.
    pub(super) async fn open(server: &Process) -> Self {
        let mut request =
            format!("ws://{}/graphql", server.address()).into_client_request().unwrap();
        let protocol = "graphql-transport-ws".parse().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let stream = TcpStream::connect(server.address()).await.unwrap();
        Self(client_async(request, stream).await.unwrap().0)
    }

    /// Opened and signed in.
    pub(super) async fn of(server: &Process, client: &Client) -> Self {
        let mut socket = Self::open(server).await;
        socket.init(client).await;
        socket
    }

    pub(super) async fn init(&mut self, client: &Client) {
        self.say(&json!({ "type": "connection_init", "payload": { "token": client.token() } }))
            .await;
        assert_eq!(self.hear().await["type"], "connection_ack");
    }

    pub(super) async fn say(&mut self, message: &Value) {
        soon(self.0.send(Message::text(message.to_string()))).await.unwrap();
    }

    pub(super) async fn send_raw(&mut self, bytes: &[u8]) {
        soon(self.0.get_mut().write_all(bytes)).await.unwrap();
    }

    /// A frame of a text message, under a mask that changes nothing.
    pub(super) async fn send_frame(&mut self, is_first: bool, is_last: bool, payload: &[u8]) {
        let kind = u8::from(is_first) | if is_last { 0x80 } else { 0 };
        let length = (payload.len() as u64).to_be_bytes();
        let head = [&[kind, 0xff][..], &length, &[0; 4]].concat();
        self.send_raw(&head).await;
        self.send_raw(payload).await;
    }

    /// Announces a message and sends all of it but one byte.
    pub(super) async fn send_half(&mut self, bytes: usize) {
        let length = (bytes as u64).to_be_bytes();
        self.send_raw(&[&[0x81, 0xff][..], &length, &[0; 4]].concat()).await;
        self.send_raw(&vec![b' '; bytes - 1]).await;
    }

    pub(super) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.say(&json!({ "type": "subscribe", "id": id, "payload": payload })).await;
    }

    pub(super) async fn complete(&mut self, id: &str) {
        self.say(&json!({ "type": "complete", "id": id })).await;
    }

    /// The first message in answer to a query; its end is passed over.
    pub(super) async fn ask(&mut self, id: &str, query: &str) -> Value {
        self.subscribe(id, query, json!({})).await;
        let answer = self.hear().await;
        if answer["type"] == "next" {
            assert_eq!(self.hear().await["type"], "complete");
        }
        answer
    }

    /// The next message that is no ping.
    pub(super) async fn hear(&mut self) -> Value {
        loop {
            match soon(self.0.next()).await {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(text.as_str()).unwrap();
                    if message["type"] != "ping" {
                        return message;
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no message but {other:?}"),
            }
        }
    }

    /// The code the server closes with.
    pub(super) async fn closed(mut self) -> u16 {
        loop {
            match soon(self.0.next()).await {
                Some(Ok(Message::Close(frame))) => return frame.expect("a code").code.into(),
                Some(Ok(_)) => {}
                other => panic!("no close frame but {other:?}"),
            }
        }
    }
}

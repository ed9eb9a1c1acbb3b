//! A raw client of `graphql-transport-ws`, which can also break the rules; and how tests wait.

use super::client::Client;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longer than anything takes; a server that hangs fails the test.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it takes too long")
}

/// Waits until something is so. It looks again whenever everything else has had its turn.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    soon(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// An open socket.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opened, without a message.
    pub(crate) async fn open(server: SocketAddr) -> Self {
        Self::open_with(server, &[]).await
    }

    /// The same with more headers.
    pub(crate) async fn open_with(server: SocketAddr, headers: &[(&str, &str)]) -> Self {
        let mut request = format!("ws://{server}/graphql").into_client_request().unwrap();
        let protocols = "other, graphql-transport-ws".parse().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocols);
        for (name, value) in headers {
            let name: reqwest::header::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(server).await.unwrap();
        let (socket, response) = client_async(request, stream).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-transport-ws");
        Self(socket)
    }

    /// Opened and signed in.
    pub(crate) async fn of(server: SocketAddr, client: &Client) -> Self {
        let mut socket = Self::open(server).await;
        socket.init(client).await;
        socket
    }

    /// Signs in.
    pub(crate) async fn init(&mut self, client: &Client) {
        let payload = json!({ "token": client.token() });
        self.say(&json!({ "type": "connection_init", "payload": payload })).await;
        let ack = self.hear().await;
        assert_eq!(ack["type"], "connection_ack", "{ack}");
        assert!(ack["payload"]["expiresAt"].is_string(), "{ack}");
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        soon(self.0.send(message)).await.unwrap();
    }

    /// Bytes that need not be a frame.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        soon(self.0.get_mut().write_all(bytes)).await.unwrap();
    }

    /// A frame of a text message, under a mask that changes nothing.
    pub(crate) async fn send_frame(&mut self, is_first: bool, is_last: bool, payload: &[u8]) {
        let kind = u8::from(is_first) | if is_last { 0x80 } else { 0 };
        let length = (payload.len() as u64).to_be_bytes();
        let head = [&[kind, 0xff][..], &length, &[0; 4]].concat();
        self.send_raw(&head).await;
        self.send_raw(payload).await;
    }

    /// Announces a message and sends nothing of it.
    pub(crate) async fn announce(&mut self, bytes: usize) {
        let length = (bytes as u64).to_be_bytes();
        self.send_raw(&[&[0x81, 0xff][..], &length, &[0; 4]].concat()).await;
    }

    /// Announces a message and sends all of it but one byte.
    pub(crate) async fn send_half(&mut self, bytes: usize) {
        self.announce(bytes).await;
        self.send_raw(&vec![b' '; bytes - 1]).await;
    }

    pub(crate) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.say(&json!({ "type": "subscribe", "id": id, "payload": payload })).await;
    }

    /// Follows the viewer's events.
    pub(crate) async fn follow(&mut self, id: &str, after: Option<&str>) {
        let query = "subscription($after: Cursor) { viewerEvents(after: $after) { cursor node { position type } } }";
        self.subscribe(id, query, json!({ "after": after })).await;
    }

    pub(crate) async fn complete(&mut self, id: &str) {
        self.say(&json!({ "type": "complete", "id": id })).await;
    }

    /// The first message in answer to a query; its end is passed over.
    pub(crate) async fn first_of(&mut self, id: &str, query: &str) -> Value {
        self.subscribe(id, query, json!({})).await;
        let answer = self.hear().await;
        if answer["type"] == "next" {
            assert_eq!(self.hear().await["type"], "complete");
        }
        answer
    }

    /// The next message that is no ping; pings are answered.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match soon(self.0.next()).await {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(text.as_str()).unwrap();
                    if message["type"] != "ping" {
                        return message;
                    }
                    self.say(&json!({ "type": "pong" })).await;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no message but {other:?}"),
            }
        }
    }

    /// The next answer to an operation: `next`.
    pub(crate) async fn next_of(&mut self, id: &str) -> Value {
        let message = self.hear().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!(id)), "{message}");
        message["payload"]["data"].clone()
    }

    /// The next event of a subscription: cursor and type.
    pub(crate) async fn event_of(&mut self, id: &str) -> (String, String) {
        let data = self.next_of(id).await;
        let edge = &data["viewerEvents"];
        (
            edge["cursor"].as_str().unwrap().to_owned(),
            edge["node"]["type"].as_str().unwrap().to_owned(),
        )
    }

    /// Runs a query to its end.
    pub(crate) async fn ask(&mut self, id: &str, query: &str, variables: Value) -> Value {
        self.subscribe(id, query, variables).await;
        let data = self.next_of(id).await;
        let end = self.hear().await;
        assert_eq!(end, json!({ "type": "complete", "id": id }));
        data
    }

    /// The code the server closes with; messages before it are passed over.
    pub(crate) async fn closed(self) -> u16 {
        self.closed_with().await.0
    }

    /// The same with the reason.
    pub(crate) async fn closed_with(mut self) -> (u16, String) {
        loop {
            match soon(self.0.next()).await {
                Some(Ok(Message::Close(frame))) => {
                    let frame = frame.expect("a code");
                    return (frame.code.into(), frame.reason.as_str().to_owned());
                }
                Some(Ok(_)) => {}
                other => panic!("no close frame but {other:?}"),
            }
        }
    }
}

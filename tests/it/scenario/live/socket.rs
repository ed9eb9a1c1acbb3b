//! A raw client of `graphql-transport-ws`.

use crate::harness::client::Client;
use crate::scenario::stage::Stage;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longer than anything takes; a server that hangs fails the test.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits, but not for ever.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it takes too long")
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

/// An open socket.
pub(super) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opened, without a message.
    pub(super) async fn open(stage: &Stage) -> Self {
        Self::open_with(stage, &[]).await
    }

    /// The same with more headers.
    pub(super) async fn open_with(stage: &Stage, headers: &[(&str, &str)]) -> Self {
        let mut request =
            format!("ws://{}/graphql", stage.address()).into_client_request().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", "other, graphql-transport-ws".parse().unwrap());
        for (name, value) in headers {
            let name: reqwest::header::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(stage.address()).await.unwrap();
        let (socket, response) = client_async(request, stream).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-transport-ws");
        Self(socket)
    }

    /// Opened and signed in.
    pub(super) async fn of(stage: &Stage, client: &Client) -> Self {
        let mut socket = Self::open(stage).await;
        socket
            .say(&json!({ "type": "connection_init", "payload": { "token": client.token() } }))
            .await;
        let ack = socket.hear().await;
        assert_eq!(ack["type"], "connection_ack", "{ack}");
        assert!(ack["payload"]["expiresAt"].is_string(), "{ack}");
        socket
    }

    pub(super) async fn say(&mut self, message: &Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub(super) async fn send(&mut self, message: Message) {
        soon(self.0.send(message)).await.unwrap();
    }

    /// Bytes that are no frame.
    pub(super) async fn send_raw(&mut self, bytes: &[u8]) {
        soon(self.0.get_mut().write_all(bytes)).await.unwrap();
    }

    pub(super) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.say(&json!({ "type": "subscribe", "id": id, "payload": payload })).await;
    }

    /// Follows the viewer's events.
    pub(super) async fn follow(&mut self, id: &str, after: Option<&str>) {
        let query = "subscription($after: Cursor) { viewerEvents(after: $after) { cursor node { position type } } }";
        self.subscribe(id, query, json!({ "after": after })).await;
    }

    /// The next message that is no ping; pings are answered.
    pub(super) async fn hear(&mut self) -> Value {
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
    pub(super) async fn next_of(&mut self, id: &str) -> Value {
        let message = self.hear().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!(id)), "{message}");
        message["payload"]["data"].clone()
    }

    /// The next event of a subscription: cursor and type.
    pub(super) async fn event_of(&mut self, id: &str) -> (String, String) {
        let data = self.next_of(id).await;
        let edge = &data["viewerEvents"];
        (
            edge["cursor"].as_str().unwrap().to_owned(),
            edge["node"]["type"].as_str().unwrap().to_owned(),
        )
    }

    /// Runs a query to its end.
    pub(super) async fn ask(&mut self, id: &str, query: &str, variables: Value) -> Value {
        self.subscribe(id, query, variables).await;
        let data = self.next_of(id).await;
        let end = self.hear().await;
        assert_eq!(end, json!({ "type": "complete", "id": id }));
        data
    }

    /// The code the server closes with; messages before it are passed over.
    pub(super) async fn closed(self) -> u16 {
        self.closed_with().await.0
    }

    /// The same with the reason.
    pub(super) async fn closed_with(mut self) -> (u16, String) {
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

//! The baseline: sockets over a broadcast channel, without recovery after a disconnect.

use futures::{SinkExt, StreamExt};
use std::io;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::task::TaskTracker;

/// Events that may wait for a socket.
const WAITING: usize = 64;

/// The message the server sends for one event.
const NEXT: &str = "{\"id\":\"1\",\"type\":\"next\",\"payload\":{\"data\":{\"viewerEvents\":{\"cursor\":\"AQAAAAAAAAAB\",\"node\":\
                    {\"position\":\"1\",\"type\":\"KeyRenamed\"}}}}}";

/// Serves until the listener fails. A client's `publish` message is broadcast to all others.
///
/// # Errors
/// When nothing can be accepted any more.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let (tell, tracker) = (broadcast::channel::<Arc<str>>(WAITING).0, TaskTracker::new());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tracker.spawn(socket(stream, tell.clone()));
    }
}

#[expect(
    clippy::result_large_err,
    clippy::unnecessary_wraps,
    reason = "the library's own type of callback"
)]
fn speak(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    response
        .headers_mut()
        .insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    Ok(response)
}

async fn socket(stream: TcpStream, tell: broadcast::Sender<Arc<str>>) {
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let Ok(mut socket) = accept_hdr_async_with_config(stream, speak, Some(config)).await else {
        return;
    };
    let mut told = None::<broadcast::Receiver<Arc<str>>>;
    loop {
        let next = async {
            match &mut told {
                Some(told) => told.recv().await.ok(),
                None => std::future::pending().await,
            }
        };
        let said = tokio::select! {
            told = next => told.map(|text| text.to_string()),
            heard = socket.next() => match heard {
                // Before the acknowledgement: a client that has received it gets all later events,
                // as with a cursor.
                Some(Ok(Message::Text(text))) if text.contains("connection_init") => {
                    told = Some(tell.subscribe());
                    Some(r#"{"type":"connection_ack"}"#.to_owned())
                }
                Some(Ok(Message::Text(text))) if text.contains("publish") => {
                    drop(tell.send(NEXT.into()));
                    continue;
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
        };
        let Some(said) = said else { return };
        if socket.send(Message::text(said)).await.is_err() {
            return;
        }
    }
}

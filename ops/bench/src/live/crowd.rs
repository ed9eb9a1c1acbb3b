//! Thousands of subscribers in one process, each a socket and a task that records when an event
//! arrives.

use crate::error::BenchError;
use futures::SinkExt;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::task::TaskTracker;

/// Sockets opened at a time.
const AT_ONCE: usize = 32;

/// Longer than anything takes; an event that hasn't arrived by then is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// The receive buffer, in bytes, of a client that doesn't read: as small as the system allows.
const SMALL_BUFFER: u32 = 4096;

/// A query whose responses fill every buffer on the way to a client that doesn't read, and then the
/// server's own bound.
const LARGE: &str = "{ __schema { types { name description fields { name description args { name description } } } } }";
const LARGE_TIMES: usize = 40;

pub(super) type Ws = WebSocketStream<TcpStream>;

/// How a subscriber connects.
#[derive(Clone, Debug)]
pub(super) struct Manners {
    pub(super) address: SocketAddr,
    pub(super) token: String,
    pub(super) after: String,
}

/// What all subscribers received.
#[derive(Debug, Default)]
struct Heard {
    times: Mutex<Vec<Instant>>,
    expected: AtomicUsize,
    cut_off: AtomicUsize,
    enough: Notify,
}

impl Heard {
    fn note(&self) {
        let now = Instant::now();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.push(now);
        if times.len() == self.expected.load(Ordering::SeqCst) {
            self.enough.notify_one();
        }
    }
}

/// Subscribers, disconnected when dropped.
#[derive(Debug)]
pub(super) struct Crowd {
    heard: Arc<Heard>,
    tasks: Vec<AbortHandle>,
}

impl Crowd {
    /// Connects `count` subscribers.
    pub(super) async fn gather(manners: &Manners, count: usize) -> Result<Self, BenchError> {
        let heard = Arc::<Heard>::default();
        let sockets: Vec<Ws> = stream::iter(0..count)
            .map(|_| subscribe(manners, None))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let tracker = TaskTracker::new();
        let listening = |socket| tracker.spawn(listen(socket, Arc::clone(&heard))).abort_handle();
        let tasks = sockets.into_iter().map(listening).collect();
        Ok(Self { heard, tasks })
    }

    /// From here on, every subscriber is expected to receive `events` events.
    pub(super) fn expect(&self, events: usize) {
        self.heard.expected.store(self.tasks.len() * events, Ordering::SeqCst);
    }

    /// When each event arrived at each subscriber, once all have arrived.
    pub(super) async fn heard(&self) -> Result<Vec<Instant>, BenchError> {
        let in_time = timeout(PATIENCE, self.heard.enough.notified()).await.is_ok();
        let times =
            std::mem::take(&mut *self.heard.times.lock().unwrap_or_else(PoisonError::into_inner));
        let missing = self.heard.expected.load(Ordering::SeqCst).saturating_sub(times.len());
        let cut_off = self.heard.cut_off.load(Ordering::SeqCst);
        if in_time && cut_off == 0 {
            Ok(times)
        } else {
            Err(BenchError::Unheard(missing.max(cut_off)))
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn listen(mut socket: Ws, heard: Arc<Heard>) {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        if text.contains("\"type\":\"next\"") {
            heard.note();
        } else if text.contains("\"type\":\"ping\"")
            && socket.send(Message::text(r#"{"type":"pong"}"#)).await.is_err()
        {
            break;
        }
    }
    heard.cut_off.fetch_add(1, Ordering::SeqCst);
}

/// Opens a socket, with a small receive buffer if given.
async fn connect(address: SocketAddr, buffer: Option<u32>) -> Result<Ws, Error> {
    let tcp = TcpSocket::new_v4()?;
    if let Some(bytes) = buffer {
        tcp.set_recv_buffer_size(bytes)?;
    }
    let stream = tcp.connect(address).await?;
    let mut request = format!("ws://{address}/graphql").into_client_request()?;
    let protocol = HeaderName::from_static("sec-websocket-protocol");
    request.headers_mut().insert(protocol, HeaderValue::from_static("graphql-transport-ws"));
    let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
    client_async_with_config(request, stream, Some(config)).await.map(|(socket, _)| socket)
}

fn failed(error: Error) -> BenchError {
    if let Error::Io(error) = error {
        BenchError::Io(error)
    } else {
        BenchError::Subject("it does not open a WebSocket")
    }
}

async fn subscribe(manners: &Manners, buffer: Option<u32>) -> Result<Ws, BenchError> {
    let mut socket = connect(manners.address, buffer).await.map_err(failed)?;
    let init = json!({ "type": "connection_init", "payload": { "token": manners.token } });
    socket.send(Message::text(init.to_string())).await.map_err(failed)?;
    match timeout(PATIENCE, socket.next()).await {
        Ok(Some(Ok(Message::Text(text)))) if text.contains("connection_ack") => {}
        _ => return Err(BenchError::Subject("it does not accept a subscriber")),
    }
    let query = "subscription($after: Cursor) { viewerEvents(after: $after) { cursor node { position type } } }";
    let payload = json!({ "query": query, "variables": { "after": manners.after } });
    say(&mut socket, &json!({ "id": "1", "type": "subscribe", "payload": payload }).to_string())
        .await?;
    Ok(socket)
}

/// Sends one message.
pub(super) async fn say(socket: &mut Ws, text: &str) -> Result<(), BenchError> {
    socket.send(Message::text(text)).await.map_err(failed)
}

/// Subscribers that request much data and then read nothing, until dropped.
pub(super) async fn stalled(manners: &Manners, count: usize) -> Result<Vec<Ws>, BenchError> {
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let mut socket = subscribe(manners, Some(SMALL_BUFFER)).await?;
        for n in 0..LARGE_TIMES {
            let ask = json!({ "id": format!("large {n}"), "type": "subscribe", "payload": { "query": LARGE } });
            say(&mut socket, &ask.to_string()).await?;
        }
        sockets.push(socket);
    }
    Ok(sockets)
}

/// A socket that publishes events at the baseline.
pub(super) async fn connect_to_publish(address: SocketAddr) -> Result<Ws, BenchError> {
    connect(address, None).await.map_err(failed)
}

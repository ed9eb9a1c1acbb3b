//! A TCP proxy before the server that makes connections fail: cuts one at any byte, swallows
//! everything, holds a message back. It knows the frames of the wire protocol, so that a fault
//! meets the message it is meant for.

use crate::harness::mongo::TestServer;
use claviger_store::address::MongoUri;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// What becomes of a connection when a message meets a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// This many bytes of the request arrive, then both sides are cut.
    CutRequest(usize),
    /// The request arrives; this many bytes of the reply come back, then both sides are cut.
    CutReply(usize),
    /// From this request on nothing arrives and nothing comes back; the connection stays open.
    Swallow,
    /// The request arrives, and no reply ever comes back.
    SwallowReply,
    /// The request arrives this much later.
    Delay(Duration),
}

#[derive(Default)]
struct Rule {
    word: String,
    times: usize,
    act: Option<Act>,
}

/// The proxy. Its connections are cut when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _ends: DropGuard,
}

struct Shared {
    target: String,
    rule: Mutex<Rule>,
    met: watch::Sender<usize>,
    /// Cancelled and replaced to cut all connections.
    open: Mutex<CancellationToken>,
    ends: CancellationToken,
    tracker: TaskTracker,
}

impl Proxy {
    /// A proxy that does nothing but forward to `target`, host and port.
    pub(crate) async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ends = CancellationToken::new();
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            rule: Mutex::default(),
            met: watch::Sender::new(0),
            open: Mutex::new(ends.child_token()),
            ends: ends.clone(),
            tracker: TaskTracker::new(),
        });
        let accepting = Arc::clone(&shared);
        shared.tracker.spawn(async move {
            while let Some(Ok((client, _))) =
                accepting.ends.run_until_cancelled(listener.accept()).await
            {
                let (open, of) = (accepting.open.lock().unwrap().clone(), Arc::clone(&accepting));
                accepting
                    .tracker
                    .spawn(async move { open.run_until_cancelled(of.forward(client)).await });
            }
        });
        Self { address, shared, _ends: ends.drop_guard() }
    }

    /// A proxy before the server of the tests.
    pub(crate) async fn before(server: &TestServer) -> Self {
        Self::start(&server.host()).await
    }

    /// The address of a database of that server, through this proxy.
    pub(crate) fn uri(&self, server: &TestServer, database: &str) -> MongoUri {
        server.uri_by(&self.address.to_string(), database).parse().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next `times` requests that contain this word meet it.
    pub(crate) fn rule(&self, word: &str, times: usize, act: Act) {
        *self.shared.rule.lock().unwrap() = Rule { word: word.to_owned(), times, act: Some(act) };
    }

    /// Everything is forwarded again; what was swallowed stays so.
    pub(crate) fn forward(&self) {
        *self.shared.rule.lock().unwrap() = Rule::default();
    }

    /// Cuts every connection there is.
    pub(crate) fn cut_all(&self) {
        let new = self.shared.ends.child_token();
        std::mem::replace(&mut *self.shared.open.lock().unwrap(), new).cancel();
    }

    /// Waits until this many requests met a rule since the start.
    pub(crate) async fn met(&self, times: usize) {
        self.shared.met.subscribe().wait_for(|met| *met >= times).await.unwrap();
    }

    /// How many requests met a rule since the start.
    pub(crate) fn times_met(&self) -> usize {
        *self.shared.met.borrow()
    }
}

impl Shared {
    /// What is to be done about a request.
    fn act(&self, message: &[u8]) -> Option<Act> {
        let mut rule = self.rule.lock().unwrap();
        let has_word = rule.times > 0
            && message.windows(rule.word.len()).any(|part| part == rule.word.as_bytes());
        if !has_word {
            return None;
        }
        rule.times -= 1;
        self.met.send_modify(|met| *met += 1);
        rule.act
    }

    async fn forward(&self, client: TcpStream) {
        let Ok(server) = TcpStream::connect(&self.target).await else { return };
        let (mut from_client, to_client) = client.into_split();
        let (from_server, mut to_server) = server.into_split();
        let (replies, cut) = (watch::Sender::new(Replies::All), CancellationToken::new());
        let answering =
            self.tracker.spawn(answer(from_server, to_client, replies.subscribe(), cut.clone()));
        while let Some(Some(message)) = cut.run_until_cancelled(message(&mut from_client)).await {
            match self.act(&message) {
                Some(Act::CutRequest(bytes)) => {
                    drop(to_server.write_all(&message[..bytes.min(message.len())]).await);
                    break;
                }
                Some(Act::CutReply(bytes)) => drop(replies.send_replace(Replies::CutAt(bytes))),
                Some(Act::Swallow) => {
                    while message_is_read(&mut from_client).await {}
                    break;
                }
                Some(Act::SwallowReply) => drop(replies.send_replace(Replies::None)),
                Some(Act::Delay(time)) => tokio::time::sleep(time).await,
                None => {}
            }
            if to_server.write_all(&message).await.is_err() {
                break;
            }
        }
        cut.cancel();
        answering.abort();
    }
}

async fn message_is_read(from: &mut OwnedReadHalf) -> bool {
    message(from).await.is_some()
}

#[derive(Clone, Copy)]
enum Replies {
    All,
    CutAt(usize),
    None,
}

async fn answer(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    replies: watch::Receiver<Replies>,
    cut: CancellationToken,
) {
    while let Some(message) = message(&mut from).await {
        let replies = *replies.borrow();
        match replies {
            Replies::All => {
                if to.write_all(&message).await.is_err() {
                    break;
                }
            }
            Replies::CutAt(bytes) => {
                drop(to.write_all(&message[..bytes.min(message.len())]).await);
                break;
            }
            Replies::None => {}
        }
    }
    cut.cancel();
}

/// One message: its length comes first.
pub(super) async fn message(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut message = vec![0; 4];
    from.read_exact(&mut message).await.ok()?;
    let length = u32::from_le_bytes(message[..4].try_into().unwrap()) as usize;
    message.resize(length, 0);
    from.read_exact(&mut message[4..]).await.ok()?;
    Some(message)
}

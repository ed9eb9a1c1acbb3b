//! The server's side: who may ask, and how much of its time and memory a client may take.

use super::frames::{self, Head, MAX_REQUEST, MAX_SECRET, Refusal, Said, VERSION};
use super::place::{SocketError, Stands};
use claviger_domain::code::ErrorCode;
use claviger_domain::secret::SecretText;
use futures::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long its request may take to arrive.
    pub request: Duration,
    /// How long it may take to read a frame of the answer.
    pub frame: Duration,
    /// Clients at once; further ones are refused.
    pub clients: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        let ten = Duration::from_secs(10);
        Self { request: ten, frame: ten, clients: 8 }
    }
}

/// How long to wait when the system gives no more sockets.
const PAUSE: Duration = Duration::from_millis(100);

/// A request.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Asked {
    /// What is asked, in JSON.
    pub ask: String,
    pub secret: Option<SecretText>,
    pub to: Teller,
    /// Cancelled when the client wants no more, or has gone, and when the server stops.
    pub over: CancellationToken,
}

/// Tells the client something before the end.
#[derive(Clone, Debug)]
pub struct Teller(mpsc::UnboundedSender<Said>);

impl Teller {
    /// Text for standard output.
    pub fn out(&self, text: &str) {
        for piece in frames::pieces(text) {
            self.say(Said::Out(piece.to_owned()));
        }
    }

    /// A line for standard error.
    pub fn note(&self, line: &str) {
        self.say(Said::Note(line.to_owned()));
    }

    fn say(&self, said: Said) {
        // A client that has gone hears nothing.
        drop(self.0.send(said));
    }
}

/// Does what is asked.
pub trait Desk: Send + Sync {
    /// Runs to its end even if the client goes: it decides itself what [`Asked::over`] means for
    /// it. Returns the exit code.
    fn serve(&self, asked: Asked) -> BoxFuture<'_, Result<u8, Refusal>>;
}

/// The socket of a data directory, listening.
#[expect(missing_debug_implementations, reason = "knows a secret's hash")]
pub struct LocalServer {
    listener: UnixListener,
    stands: Stands,
    bounds: Bounds,
    /// Hash of what a command has to know.
    key: [u8; 32],
}

impl LocalServer {
    /// Makes the socket, and the file with `key` beside it, which nobody can guess. The caller holds
    /// the lock of the data directory.
    ///
    /// # Errors
    /// [`SocketError`], whose message tells the operator what to do.
    pub fn bind(dir: &Path, bounds: Bounds, key: &SecretText) -> Result<Self, SocketError> {
        let (stands, listener) = Stands::make(dir, key.expose())?;
        Ok(Self { listener, stands, bounds, key: hash(key.expose()) })
    }

    /// Serves until shutdown, then removes the socket and waits for what is at work.
    pub async fn run(self, desk: Arc<dyn Desk>, shutdown: CancellationToken) {
        let Self { listener, stands, bounds, key } = self;
        let (tasks, places) = (TaskTracker::new(), Arc::new(Semaphore::new(bounds.clients)));
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let mut stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "the socket of the data directory accepts nothing now");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            if let Err(refusal) = admit(&stream) {
                refuse_at_once(&mut stream, refusal).await;
                continue;
            }
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                let full =
                    "the server is at work on as many commands as it takes at once: try again";
                refuse_at_once(&mut stream, Refusal::new(ErrorCode::RateLimited, full)).await;
                continue;
            };
            let (desk, over) = (Arc::clone(&desk), shutdown.child_token());
            tasks.spawn(async move {
                attend(stream, &*desk, (bounds, key), over).await;
                drop(place);
            });
        }
        drop(listener);
        drop(stands);
        tasks.close();
        tasks.wait().await;
    }
}

/// Only whoever could open the store without the server: its own user, and root.
fn admit(stream: &UnixStream) -> Result<(), Refusal> {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own || peer.uid() == 0 => Ok(()),
        Ok(peer) => {
            tracing::warn!(uid = peer.uid(), "another user was refused at the socket");
            Err(Refusal::new(
                ErrorCode::Forbidden,
                "the server takes commands of its own user and of root only: run the command as \
                 one of them",
            ))
        }
        Err(error) => {
            tracing::warn!(%error, "it cannot be told who is at the socket");
            let message = "the system does not say which user runs this command: run it as the \
                           server's own";
            Err(Refusal::new(ErrorCode::Forbidden, message))
        }
    }
}

/// A new connection has room for so little: nobody is waited for.
async fn refuse_at_once(stream: &mut UnixStream, refusal: Refusal) {
    drop(timeout(PAUSE, frames::say(stream, &Said::Refused(refusal))).await);
}

async fn attend(
    stream: UnixStream,
    desk: &dyn Desk,
    (bounds, key): (Bounds, [u8; 32]),
    over: CancellationToken,
) {
    let (mut from, mut to) = stream.into_split();
    let read = timeout(bounds.request, request(&mut from, &key));
    let request = match over.run_until_cancelled(read).await {
        Some(Ok(request)) => request,
        Some(Err(_)) => Err(Refusal::new(ErrorCode::Timeout, "the request did not arrive in time")),
        None => Err(Refusal::new(ErrorCode::ShuttingDown, "the server is stopping")),
    };
    let (ask, secret) = match request {
        Ok(request) => request,
        Err(refusal) => {
            drop(timeout(bounds.frame, frames::say(&mut to, &Said::Refused(refusal))).await);
            return;
        }
    };
    let (sender, said) = mpsc::unbounded_channel();
    let teller = Teller(sender);
    let asked = Asked { ask, secret, to: teller.clone(), over: over.clone() };
    let work = async move {
        let end = desk.serve(asked).await;
        teller.say(end.map_or_else(Said::Refused, Said::End));
    };
    let done = async { tokio::join!(work, tell(said, &mut to, bounds.frame, &over)) };
    tokio::select! {
        // First: what reads is not begun for a client that has gone already.
        biased;
        () = listen_for_the_end(&mut from, &over) => {}
        _ = done => {}
    }
}

/// The client says no more. Its end, or anything that it says, is one; never resolves.
async fn listen_for_the_end(from: &mut OwnedReadHalf, over: &CancellationToken) {
    drop(from.read_u8().await);
    over.cancel();
    std::future::pending::<()>().await;
}

/// Passes on what is said. A client that doesn't read it is given up.
async fn tell(
    mut said: mpsc::UnboundedReceiver<Said>,
    to: &mut OwnedWriteHalf,
    frame: Duration,
    over: &CancellationToken,
) {
    while let Some(next) = said.recv().await {
        if !matches!(timeout(frame, frames::say(to, &next)).await, Ok(Ok(()))) {
            over.cancel();
            return;
        }
    }
}

async fn request(
    from: &mut OwnedReadHalf,
    key: &[u8; 32],
) -> Result<(String, Option<SecretText>), Refusal> {
    let unread = |error: io::Error| {
        Refusal::new(
            ErrorCode::BadRequest,
            if error.kind() == io::ErrorKind::InvalidData {
                "the request is longer than the server takes"
            } else {
                "the request ends in its middle"
            },
        )
    };
    let bytes = frames::read(from, MAX_REQUEST).await.map_err(unread)?;
    let Ok(head) = serde_json::from_slice::<Head<'_>>(&bytes) else {
        return Err(Refusal::new(ErrorCode::BadRequest, "this is no request of Claviger"));
    };
    if head.version != VERSION {
        return Err(Refusal::new(ErrorCode::Conflict, other_version(&head.version)));
    }
    if hash(&head.key) != *key {
        tracing::warn!("a program that cannot read the data directory was refused at the socket");
        let message = "the command does not know what stands beside the socket: run it as a program \
                       that may read the data directory";
        return Err(Refusal::new(ErrorCode::Forbidden, message));
    }
    let secret = frames::secret(frames::read(from, MAX_SECRET).await.map_err(unread)?)?;
    Ok((head.ask.get().to_owned(), secret))
}

/// Compared in place of the key: how long that takes tells nothing about it.
fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn other_version(theirs: &str) -> String {
    let theirs: String = theirs.chars().filter(|c| !c.is_control()).take(40).collect();
    format!(
        "the server is Claviger {VERSION}, and this program is {theirs}: run the server's own \
         program, or restart the server with this one"
    )
}

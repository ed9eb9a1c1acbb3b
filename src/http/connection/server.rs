//! The accept loop, with what `axum::serve` lacks: a timeout for headers, a cap on connections, a
//! bounded shutdown.

use super::answering::{Answering, announcement};
use super::waits::{Doing, Patience, Waits};
use super::write_stall::Draining;
use crate::system::metrics::{Counted, Level};
use axum::Router;
use axum::http::HeaderValue;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bounds of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// From a connection's start to its first request, and from the first byte of a request to the end
    /// of its headers.
    pub header_read_timeout: Duration,
    /// How long an HTTP/1 connection is kept between two requests, as it announces. Longer than load
    /// balancers keep theirs: they would send a request in the moment in which this server closes.
    pub idle: Duration,
    /// Connections served at once; more wait in the kernel's queue until one ends.
    pub max_connections: usize,
    /// Requests at once on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// Streams a client may open and reset before they are accepted (rapid reset), and that may end
    /// in protocol errors.
    pub max_reset_streams: usize,
    /// Most bytes of the headers of one HTTP/2 request.
    pub max_header_bytes: u32,
    /// A silent HTTP/2 connection is pinged after this long, and closed when it doesn't respond for
    /// as long again.
    pub keep_alive: Duration,
    /// How long a client may accept no data. Longer than the faces' own write timeouts, which
    /// report a reason.
    pub write_stall: Duration,
    /// How long running requests may take to end once shutdown has begun.
    pub drain: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            header_read_timeout: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            max_connections: 10_000,
            max_concurrent_streams: 100,
            max_reset_streams: 50,
            max_header_bytes: 64 * 1024,
            keep_alive: Duration::from_secs(20),
            write_stall: Duration::from_mins(1),
            drain: Duration::from_secs(20),
        }
    }
}

/// The server can't start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program listens on the address.
    #[error(
        "{address} is in use: stop the program that listens there, or choose another address with --listen or CLAVIGER_LISTEN"
    )]
    AddressInUse {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// The address isn't one of this machine, its port is reserved, or there are no sockets left.
    #[error("cannot listen on {address}: choose another address with --listen or CLAVIGER_LISTEN")]
    Unusable {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections cut because their requests outlasted the drain deadline.
    pub cut: usize,
}

/// A bound socket, not yet accepting.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    settings: ServerSettings,
    open: Level,
}

impl Server {
    /// Binds. Port 0 takes a free one; see [`Server::local_addr`].
    ///
    /// # Errors
    /// [`BindError`], whose message tells the operator what to do.
    pub async fn bind(address: SocketAddr, settings: ServerSettings) -> Result<Self, BindError> {
        let failed = |source: io::Error| {
            if source.kind() == io::ErrorKind::AddrInUse {
                BindError::AddressInUse { address, source }
            } else {
                BindError::Unusable { address, source }
            }
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, settings, open: Level::default() })
    }

    /// Counts the open connections in `open`.
    #[must_use]
    pub fn counting(self, open: Level) -> Self {
        Self { open, ..self }
    }

    /// The bound address, with the actual port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then lets running requests end until the drain deadline and cuts
    /// the rest. Upgraded connections aren't waited for: the face that took them over ends them.
    pub async fn run(self, router: Router, shutdown: CancellationToken) -> Drained {
        let places = self.settings.max_connections.min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(places));
        let connections = Connections {
            builder: Arc::new(builder(&self.settings)),
            router,
            tasks: TaskTracker::new(),
            places: Arc::clone(&places),
            shutdown,
            cut: CancellationToken::new(),
            patience: Patience {
                head: self.settings.header_read_timeout,
                idle: self.settings.idle,
                places,
            },
            announced: announcement(self.settings.idle),
            open: self.open,
            write_stall: self.settings.write_stall,
        };
        connections.accept(&self.listener).await;
        // From here on the kernel refuses new connections, so that another process can take the
        // address over.
        drop(self.listener);
        connections.tasks.close();
        let drained =
            tokio::time::timeout(self.settings.drain, connections.tasks.wait()).await.is_ok();
        let cut = if drained { 0 } else { connections.tasks.len() };
        connections.cut.cancel();
        connections.tasks.wait().await;
        Drained { cut }
    }
}

fn builder(settings: &ServerSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // `Waits` has the deadlines of HTTP/1.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_concurrent_streams)
        .max_pending_accept_reset_streams(settings.max_reset_streams)
        .max_local_error_reset_streams(settings.max_reset_streams)
        .max_header_list_size(settings.max_header_bytes)
        .keep_alive_interval(settings.keep_alive)
        .keep_alive_timeout(settings.keep_alive);
    builder
}

struct Connections {
    builder: Arc<Builder<TokioExecutor>>,
    router: Router,
    tasks: TaskTracker,
    places: Arc<Semaphore>,
    shutdown: CancellationToken,
    cut: CancellationToken,
    patience: Patience,
    announced: Option<HeaderValue>,
    open: Level,
    write_stall: Duration,
}

/// The pause after a failure of the listener itself, such as running out of file descriptors: they
/// are freed as connections end.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

impl Connections {
    async fn accept(&self, listener: &TcpListener) {
        let next = async || {
            // The slot first: a client that can't be served waits in the kernel's queue, at no cost
            // to this process.
            let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        while let Some(Some((place, accepted))) = self.shutdown.run_until_cancelled(next()).await {
            match accepted {
                Ok((stream, peer)) => self.serve(stream, peer, place),
                Err(error) if is_the_connections(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        let (builder, router) = (Arc::clone(&self.builder), self.router.clone());
        let (shutdown, cut) = (self.shutdown.clone(), self.cut.clone());
        let (patience, write_stall) = (self.patience.clone(), self.write_stall);
        let doing = Arc::<Doing>::default();
        let announced = self.announced.clone();
        let answering = Arc::new(Answering { router, peer, doing: Arc::clone(&doing), announced });
        let open = Counted::new(self.open.clone());
        self.tasks.spawn(async move {
            // Small responses and text deltas go out at once. If this fails, they go out a little
            // later.
            let _ = stream.set_nodelay(true);
            let service = hyper::service::service_fn(move |request| {
                let answering = Arc::clone(&answering);
                async move { answering.answer(request).await }
            });
            let stream = Waits::new(stream, patience, doing);
            let stream = TokioIo::new(Draining::new(stream, write_stall));
            let connection = builder.serve_connection_with_upgrades(stream, service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                ended = connection.as_mut() => log_end(&ended),
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        ended = connection => log_end(&ended),
                        () = cut.cancelled() => {}
                    }
                }
            }
            drop((place, open));
        });
    }
}

/// Errors of a connection that was lost before it was accepted.
fn is_the_connections(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Clients disconnect in every way, and none of it is a fault of the server. The error's text may
/// quote the request, so it isn't logged.
fn log_end(ended: &Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if ended.is_err() {
        tracing::debug!("connection ended early");
    }
}

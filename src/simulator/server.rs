//! The server: its settings, its lifecycle, and the state that its calls share.

use super::counts::Counts;
use super::faults;
use super::handlers::router;
use super::script::Script;
use axum::Router;
use claviger_domain::timestamp::Timestamp;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, io};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// How long a stopping simulator waits for responses in progress. All of its own delays end at
/// once, so only the network can take time.
const DRAIN: Duration = Duration::from_secs(2);

/// Returns the current time.
pub type SimulatorClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

#[derive(Clone)]
pub struct SimulatorConfig {
    /// The address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// For the dates in headers and texts.
    pub clock: SimulatorClock,
    /// The `retry-after` of a rate-limited key, in seconds.
    pub retry_after_s: u64,
    /// Delay before each piece of streamed text.
    pub chunk_delay: Duration,
    /// Characters per piece of streamed text.
    pub chunk_chars: usize,
    /// Delay before each tenth of a slow response.
    pub slow_delay: Duration,
    /// The target of redirects.
    pub redirect_to: String,
    /// Whether to record request bodies for a test.
    pub record_bodies: bool,
}

impl SimulatorConfig {
    /// A free port of this machine, and no delays except the slow scenario's.
    pub fn new(clock: SimulatorClock) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock,
            retry_after_s: 30,
            chunk_delay: Duration::ZERO,
            chunk_chars: 24,
            slow_delay: Duration::from_millis(200),
            redirect_to: "https://redirected.invalid/".to_owned(),
            record_bodies: false,
        }
    }
}

impl SimulatorConfig {
    /// The same, with text streamed at a comfortable reading speed: some 240 characters a second,
    /// six at a time.
    #[must_use]
    pub fn lively(self) -> Self {
        Self { chunk_delay: Duration::from_millis(25), chunk_chars: 6, ..self }
    }
}

impl fmt::Debug for SimulatorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorConfig").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// Why a simulator didn't start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address is in use or does not belong to this machine.
    #[error("the simulator cannot listen on {address}: choose another address or port")]
    Listen {
        address: SocketAddr,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
}

struct Shared {
    config: SimulatorConfig,
    counts: Counts,
    script: Script,
    stop: CancellationToken,
    ids: AtomicU64,
}

/// The state that all calls share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Upstream(Arc<Shared>);

impl Upstream {
    pub(super) fn config(&self) -> &SimulatorConfig {
        &self.0.config
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    pub(super) fn script(&self) -> &Script {
        &self.0.script
    }

    pub(super) fn stop_token(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.0.config.clock)()
    }

    /// The next id, in the API's format.
    pub(super) fn next_id(&self, kind: &str) -> String {
        format!("{kind}_01Simulated{:013}", self.0.ids.fetch_add(1, Ordering::Relaxed))
    }
}

/// A running simulated upstream. Dropping it stops it without waiting.
pub struct Simulator {
    address: SocketAddr,
    upstream: Upstream,
    tasks: TaskTracker,
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.upstream.0.stop.cancel();
    }
}

impl Simulator {
    /// Listens and serves.
    ///
    /// # Errors
    /// [`SimulatorError::Listen`].
    pub async fn start(config: SimulatorConfig) -> Result<Self, SimulatorError> {
        let failed = |source| SimulatorError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let upstream = Upstream(Arc::new(Shared {
            config,
            counts: Counts::new(),
            script: Script::default(),
            stop: CancellationToken::new(),
            ids: AtomicU64::new(1),
        }));
        let tasks = TaskTracker::new();
        tasks.spawn(accept(listener, upstream.clone(), tasks.clone()));
        Ok(Self { address, upstream, tasks })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value for the setting of the upstream's address.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn counts(&self) -> Counts {
        self.upstream.counts().clone()
    }

    /// The acts that take precedence over the keys' scenarios.
    pub fn script(&self) -> Script {
        self.upstream.script().clone()
    }

    /// Stops listening, ends all delays, and gives responses in progress two seconds.
    pub async fn stop(self) {
        self.upstream.0.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Serves until `shutdown` completes, then stops gracefully. `ready` receives the address.
///
/// # Errors
/// [`SimulatorError::Listen`].
pub async fn serve_until(
    config: SimulatorConfig,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), SimulatorError> {
    let simulator = Simulator::start(config).await?;
    ready(simulator.address());
    shutdown.await;
    simulator.stop().await;
    Ok(())
}

async fn accept(listener: TcpListener, upstream: Upstream, tasks: TaskTracker) {
    let stop = upstream.stop_token();
    let router = router(upstream.clone());
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                tasks.spawn(connection(stream, router.clone(), stop.clone()));
            }
            // Mostly out of file descriptors: a pause lets some be released.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    // Without it, the small pieces of a stream would be delayed. If the system refuses, they are.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut router = router.clone();
        async move {
            let response = match router.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let dropped = response.extensions().get::<faults::Drop>().is_some();
            if dropped {
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            } else {
                Ok(response)
            }
        }
    });
    let builder = Builder::new(TokioExecutor::new());
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    // An error here is a client that left or a fault that was requested; neither is worth
    // reporting.
    let ended = stop.run_until_cancelled(serving.as_mut()).await;
    if ended.is_none() {
        serving.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(DRAIN, serving).await;
    }
}

//! The server's lifecycle.

use super::config::SimulatorConfig;
use super::counts::Counts;
use super::faults;
use super::handlers::router;
use super::script::Script;
use super::upstream::Upstream;
use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// How long a stopping simulator waits for responses in progress. All of its own delays end at
/// once, so only the network can take time.
const DRAIN: Duration = Duration::from_secs(2);

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
        self.upstream.stop_token().cancel();
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
        let upstream = Upstream::new(config);
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
        self.upstream.stop_token().cancel();
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

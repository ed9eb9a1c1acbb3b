//! From a core to a running server, and back down in order.

use crate::config::Config;
use crate::http::graphql::{Admission, EndpointSettings, GraphqlEndpoint};
use crate::http::health::{HealthProbe, HealthReport, HealthStatus};
use crate::http::live::{LiveFace, LiveParts};
use crate::http::schema::{SchemaExecutor, health_clock};
use crate::http::server::{BindError, Server, ServerSettings};
use crate::http::{envelope, graphiql, health};
use crate::live::{Tail, Watch};
use crate::timers::Timers;
use crate::wiring::Core;
use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use claviger_graphql::limits::{Limits, SchemaTypesError};
use claviger_projections::ports::Store;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The server can't run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can't be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The schema can't be read: a fault of the program.
    #[error("the schema can't be read")]
    Schema(#[from] SchemaTypesError),
    /// The store can't write any more.
    #[error("the store can't be written any more: see the log, mend the disk, then start again; nothing acknowledged is lost")]
    StoreFailed,
}

/// A server that listens, not yet serving.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Listening {
    server: Server,
    router: Router,
    live: Arc<LiveFace>,
    core: Core,
    has_timers: bool,
}

impl Listening {
    /// Binds the address and puts the faces together.
    ///
    /// # Errors
    /// [`ServeError`], which says what to do.
    pub async fn bind(core: Core, config: &Config) -> Result<Self, ServeError> {
        let settings = ServerSettings { drain: Duration::from_millis(config.drain_ms), ..ServerSettings::default() };
        let server = Server::bind(config.listen, settings).await?;
        let (router, live) = faces(&core, config)?;
        Ok(Self { server, router, live, core, has_timers: true })
    }

    /// Where it listens: a port of 0 has become a real one.
    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// The same without timers: whoever holds the clock does what is due.
    #[must_use]
    pub fn without_timers(self) -> Self {
        Self { has_timers: false, ..self }
    }

    /// Serves until shutdown, then ends what is under way and closes the store.
    ///
    /// # Errors
    /// [`ServeError::StoreFailed`]; nothing acknowledged is lost.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), ServeError> {
        let Self { server, router, live, core, has_timers } = self;
        let tail = Tail { reads: Arc::clone(&core.reads), hub: Arc::clone(&core.hub) };
        let tail = core.tracker.spawn(tail.run(shutdown.clone()));
        let timers = Timers { store: Arc::clone(&core.store), bus: Arc::clone(&core.bus), effects: core.effects.clone() };
        let timers = has_timers.then(|| core.tracker.spawn(timers.run(shutdown.clone())));
        let failed = tokio::select! {
            // Streams end first: the server waits for them, and sockets have left it.
            (drained, ()) = async { tokio::join!(server.run(router, shutdown.clone()), stop_at(&shutdown, &live)) } => {
                if drained.cut > 0 {
                    tracing::warn!(cut = drained.cut, "requests that outlasted the drain time were cut");
                }
                false
            }
            () = core.store_failed() => true,
        };
        shutdown.cancel();
        live.stop();
        live.ended().await;
        drop(tail.await);
        if let Some(timers) = timers {
            drop(timers.await);
        }
        core.close().await;
        if failed { Err(ServeError::StoreFailed) } else { Ok(()) }
    }
}

async fn stop_at(shutdown: &CancellationToken, live: &LiveFace) {
    shutdown.cancelled().await;
    live.stop();
}

/// The faces, put together.
fn faces(core: &Core, config: &Config) -> Result<(Router, Arc<LiveFace>), ServeError> {
    let schema = claviger_graphql::build(core.ports());
    let limits = Limits { introspection: config.introspection, ..Limits::default() };
    let admission = Arc::new(Admission::new(&schema.sdl(), limits)?);
    let ids = Arc::clone(&core.effects.ids);
    let ids: envelope::IdSource = Arc::new(move || ids.next());
    let executor = SchemaExecutor::new(schema, Arc::clone(&core.auth));
    let (auth, clock) = (Arc::clone(&core.auth), Arc::clone(&core.effects.clock));
    let live = LiveFace::new(LiveParts {
        executor: executor.clone(),
        admission: Arc::clone(&admission),
        settings: config.live,
        ids: Arc::clone(&ids),
        watch: Watch { hub: Arc::clone(&core.hub), auth, clock },
    });
    let endpoint = GraphqlEndpoint::new(executor, admission, EndpointSettings::default(), Arc::clone(&ids));
    let probe = Arc::new(StoreProbe(Arc::clone(&core.store)));
    let faces = Arc::clone(&live)
        .into_router(endpoint)
        .merge(graphiql::router())
        .route("/", get(async || Redirect::temporary("/graphiql")))
        .merge(health::router(probe, health_clock(Arc::clone(&core.effects.clock))));
    Ok((envelope::wrap(faces, ids), live))
}

struct StoreProbe(Arc<dyn Store>);

impl HealthProbe for StoreProbe {
    fn probe(&self) -> BoxFuture<'_, HealthReport> {
        Box::pin(async move {
            let database = match self.0.head().await {
                Ok(_) => HealthStatus::Healthy,
                Err(_) => HealthStatus::Unhealthy,
            };
            HealthReport {
                services: BTreeMap::from([("database", database)]),
                version: BTreeMap::from([("claviger", env!("CARGO_PKG_VERSION").to_owned())]),
            }
        })
    }
}

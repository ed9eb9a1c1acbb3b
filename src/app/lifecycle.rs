//! Starts the server from a core, and shuts it down in order.

use super::config::Config;
use super::wiring::Core;
use crate::background::lease::LeaseHolder;
use crate::background::timers::Timers;
use crate::background::view_follower::{ViewFollower, followed_views};
use crate::http::connection::server::{BindError, Server, ServerSettings};
use crate::http::edge::envelope::Edge;
use crate::http::edge::health::{HealthProbe, HealthReport, HealthStatus};
use crate::http::edge::hosts::OwnHosts;
use crate::http::edge::renderers::Renderers;
use crate::http::edge::{envelope, health, metrics};
use crate::http::graphql::executor::{SchemaExecutor, health_clock};
use crate::http::graphql::graphiql;
use crate::http::graphql::streams::{LiveFace, LiveParts};
use crate::http::graphql::{Admission, EndpointSettings, GraphqlEndpoint};
use crate::http::graphql::{problem, route};
use crate::http::rest::{self, RestFace, RestSettings};
use crate::limits::{AtWork, AtWorkSettings};
use crate::live::{Tail, Watch};
use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use claviger_graphql::limits::{Limits, SchemaTypesError};
use claviger_projections::ports::{LeaseName, Store};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The schema can't be parsed: a fault of the program.
    #[error("cannot parse the schema")]
    Schema(#[from] SchemaTypesError),
    /// The store accepts no more writes.
    #[error(
        "the store accepts no more writes: see the log, repair the disk, then start again; nothing \
         acknowledged is lost"
    )]
    StoreFailed,
}

/// A server that listens, not yet serving.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Listening {
    server: Server,
    metrics: Option<Server>,
    router: Router,
    live: Arc<LiveFace>,
    core: Arc<Core>,
    has_timers: bool,
    drain: Duration,
}

/// At least so long may closing take, however long the drain took.
const CLOSING: Duration = Duration::from_millis(500);

impl Listening {
    /// Binds the address and assembles the faces.
    ///
    /// # Errors
    /// [`ServeError`], whose message tells the operator what to do.
    pub async fn bind(core: impl Into<Arc<Core>>, config: &Config) -> Result<Self, ServeError> {
        let core = core.into();
        let settings = ServerSettings {
            drain: Duration::from_millis(config.drain_ms),
            idle: Duration::from_millis(config.keep_alive_ms),
            ..ServerSettings::default()
        };
        let server =
            Server::bind(config.listen, settings).await?.counting(core.metrics.connections());
        let metrics = match config.metrics_listen {
            Some(address) => Some(Server::bind(address, settings).await?),
            None => None,
        };
        // A server that cannot do it now leaves it to the next start.
        if let Err(error) = core.keychain.require_signatures().await {
            tracing::warn!(%error, "signatures of events are not required yet");
        }
        let (router, live) = faces(&core, config)?;
        core.auth.warm_up();
        let drain = settings.drain;
        Ok(Self { server, metrics, router, live, core, has_timers: true, drain })
    }

    /// The address it listens on, with the actual port.
    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// The address of `/metrics`, if it is served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(Server::local_addr)
    }

    /// Disables the timers, for a test that controls the clock and runs them itself.
    #[must_use]
    pub fn without_timers(self) -> Self {
        Self { has_timers: false, ..self }
    }

    /// Serves until shutdown, then ends running work and closes the store, all within the drain
    /// time: what waits for a store that doesn't answer is left as by a crash.
    ///
    /// # Errors
    /// [`ServeError::StoreFailed`]; nothing acknowledged is lost.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), ServeError> {
        let Self { server, metrics, router, live, core, has_timers, drain } = self;
        // Stops with the rest: its requests are short.
        let metrics = metrics.map(|server| {
            core.tracker.spawn(server.run(metrics::router(core.metrics.clone()), shutdown.clone()))
        });
        let tail = Tail { reads: Arc::clone(&core.reads), hub: Arc::clone(&core.hub) };
        let mut background: Vec<JoinHandle<()>> = followed_views()
            .into_iter()
            .map(|view| ViewFollower::new(Arc::clone(&core.store), view, core.holder, core.lease))
            .map(|keeper| core.tracker.spawn(keeper.counted(&core.metrics).run(shutdown.clone())))
            .collect();
        background.push(core.tracker.spawn(tail.run(shutdown.clone())));
        if let Some(engine) = core.engine() {
            background.push(core.tracker.spawn(engine.run(shutdown.clone())));
        }
        if has_timers {
            background.push(core.tracker.spawn(run_timers(&core, shutdown.clone())));
        }
        // Streams end first, because the server waits for them. Sockets are upgraded connections, for
        // which it doesn't wait.
        let mut serving = Box::pin(async {
            tokio::join!(server.run(router, shutdown.clone()), stop_at(&shutdown, &live))
        });
        let (failed, served) = tokio::select! {
            served = &mut serving => (false, served),
            () = core.store_failed() => {
                // Whoever waits for the store is still answered: what is known of a commit, and
                // what isn't.
                shutdown.cancel();
                (true, serving.await)
            }
        };
        let (drained, began) = served;
        if drained.cut > 0 {
            tracing::warn!(cut = drained.cut, "cut requests that outlasted the drain time");
        }
        let closing = async {
            live.ended().await;
            for task in background {
                drop(task.await);
            }
            if let Some(metrics) = metrics {
                drop(metrics.await);
            }
            core.close().await;
        };
        let left = drain.saturating_sub(began.elapsed()).max(CLOSING);
        if tokio::time::timeout(left, closing).await.is_err() {
            tracing::warn!(
                "the store did not answer in time: what it did not confirm is taken up as after a crash"
            );
        }
        if failed { Err(ServeError::StoreFailed) } else { Ok(()) }
    }
}

/// When that began.
async fn stop_at(shutdown: &CancellationToken, live: &LiveFace) -> Instant {
    shutdown.cancelled().await;
    live.stop();
    Instant::now()
}

/// Runs the timers while this process holds their lease.
fn run_timers(core: &Core, shutdown: CancellationToken) -> impl Future<Output = ()> + use<> {
    let timers = Timers::new(Arc::clone(&core.store), Arc::clone(&core.bus), core.env.clone());
    let timers = Arc::new(timers.counted(&core.metrics));
    let (holder, ttl) = (core.holder, core.lease);
    let lease_holder =
        LeaseHolder { store: Arc::clone(&core.store), name: LeaseName::Timers, holder, ttl };
    async move {
        lease_holder.run(&shutdown, |_, over| Arc::clone(&timers).run(over)).await;
    }
}

fn faces(core: &Core, config: &Config) -> Result<(Router, Arc<LiveFace>), ServeError> {
    let schema = claviger_graphql::build(core.ports());
    let limits = Limits { introspection: config.introspection, ..Limits::default() };
    let admission = Arc::new(Admission::new(&schema.sdl(), limits)?);
    let ids = Arc::clone(&core.env.ids);
    let ids: envelope::IdSource = Arc::new(move || ids.next());
    let at_work = AtWork::new(AtWorkSettings::default());
    let executor = SchemaExecutor::new(schema, Arc::clone(&core.auth), Arc::clone(&at_work));
    let (auth, clock) = (Arc::clone(&core.auth), Arc::clone(&core.env.clock));
    let watch = Watch { hub: Arc::clone(&core.hub), auth, clock };
    let live = LiveFace::new(LiveParts {
        executor: executor.clone(),
        admission: Arc::clone(&admission),
        settings: config.live,
        ids: Arc::clone(&ids),
        watch: watch.clone(),
        memory: core.memory.clone(),
    });
    let rest = Arc::new(RestFace {
        ports: core.ports(),
        at_work,
        memory: Arc::clone(&core.memory.requests),
        watch,
        slots: live.slots(),
        stop: live.stopping(),
        ids: Arc::clone(&ids),
        settings: RestSettings::default(),
    });
    let requests = Arc::clone(&core.memory.requests);
    let settings = EndpointSettings::default();
    let endpoint = GraphqlEndpoint::new(executor, admission, settings, Arc::clone(&ids), requests);
    let probe = Arc::new(StoreProbe(Arc::clone(&core.store)));
    let faces = route::router(Arc::clone(&live), endpoint)
        .merge(rest::router(rest))
        .merge(graphiql::router())
        .route("/", get(async || Redirect::temporary("/graphiql")))
        .merge(health::router(probe, health_clock(Arc::clone(&core.env.clock))));
    let (origins, trusted_proxies) = (config.origins.clone(), config.trusted_proxies.clone());
    // GraphQL's format is the default: pages outside the faces have no other.
    let renderers = Renderers::new(problem::render).with(rest::PREFIX, rest::problem::render);
    let hosts = OwnHosts::new(&config.hosts, &origins, config.listen.ip());
    let edge = Edge { hosts, origins, trusted_proxies, renderers, metrics: core.metrics.clone() };
    Ok((envelope::wrap(faces, ids, edge), live))
}

struct StoreProbe(Arc<dyn Store>);

impl HealthProbe for StoreProbe {
    fn probe(&self) -> BoxFuture<'_, HealthReport> {
        Box::pin(async move {
            let database = match self.0.head().await {
                // What is there is shown; what is new is refused.
                Ok(_) if self.0.refuses_writes() => HealthStatus::Degraded,
                Ok(_) => HealthStatus::Healthy,
                Err(_) => HealthStatus::Unhealthy,
            };
            let mut quarantined = BTreeMap::new();
            // If the database doesn't respond, don't wait for it a second time.
            let views =
                if database < HealthStatus::Unhealthy { followed_views() } else { Vec::new() };
            for view in views {
                match self.0.count_quarantined(view.name()).await {
                    Ok(0) | Err(_) => {}
                    Ok(rows) => drop(quarantined.insert(view.name(), rows)),
                }
            }
            HealthReport {
                services: BTreeMap::from([("database", database)]),
                quarantined,
                version: BTreeMap::from([("claviger", env!("CARGO_PKG_VERSION").to_owned())]),
            }
        })
    }
}

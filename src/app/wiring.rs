//! Wires the modules together.

use super::config::Config;
use super::key_files;
use super::max_plan::{CLAUDE_PROGRAMS, operator_of, stream_limits};
pub use super::opening::{NewStore, StartError};
use super::opening::{Opened, has_events, open_keychain};
use super::parts::{
    authentication, command_bus, command_limits, external_issuer, policy, server_info,
};
use crate::aggregates::Aggregates;
use crate::anthropic::client::{AnthropicClient, AnthropicConfig, ClientError};
use crate::anthropic::prices::{PriceError, PriceTable};
use crate::anthropic::probe::KeyProbe;
use crate::anthropic::report::Reports;
use crate::auth::{AccountsPort, Auth, AuthPorts, ExternalIssuer};
use crate::bus::{Bus, BusPorts, Commands, RunBus, RunSettings};
use crate::credentials::{ModelList, Resolver};
use crate::engine::{Engine, EngineHandle, EngineParts, EngineSettings, Operator};
use crate::keychain::{Keychain, scrub};
use crate::limits::{CommandLimits, Memories};
use crate::live::{EventHub, LiveFeeds, LiveRuns, RunHub, RunRooms};
use crate::reads::StoreReads;
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use crate::system::files::{open_regular, read_whole};
use crate::system::metrics::Metrics;
use claviger_application::{Ports, ServerInfo};
use claviger_domain::text::{ModelId, without_mark};
use claviger_projections::feed::Hub;
use claviger_projections::ports::{Holder, Store};
use claviger_store::Skipped;
use claviger_store::sqlite::SqliteConfig;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// What follows from the configuration alone. It is made before the store is opened: a command that
/// is refused because of it has changed nothing.
struct Beforehand {
    tracker: TaskTracker,
    operator: Operator,
    upstream: Upstream,
    probing: (KeyProbe, ModelId),
    issuer: Option<ExternalIssuer>,
    metrics: Metrics,
}

impl Beforehand {
    fn of(config: &Config, env: &Environment) -> Result<Self, StartError> {
        let tracker = TaskTracker::new();
        let (metrics, reports) = counted();
        let operator = operator_of(config, &*env.kernel, &tracker, &reports)?;
        let upstream = Upstream::of(config, reports)?;
        let probing = upstream.probing(env)?;
        let issuer = config.issuer.as_ref().map(|issuer| external_issuer(issuer, &tracker));
        let issuer = issuer.transpose()?;
        Ok(Self { tracker, operator, upstream, probing, issuer, metrics })
    }
}

/// Rows that cannot be read are counted.
fn skipped(metrics: &Metrics) -> Skipped {
    let level = metrics.rows_unreadable();
    Skipped::telling(move |rows| {
        level.set(i64::try_from(rows).unwrap_or(i64::MAX));
    })
}

/// The program without its faces.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Core {
    opened: Opened,
    pub config: Arc<Config>,
    pub store: Arc<dyn Store>,
    pub keychain: Arc<Keychain>,
    pub bus: Arc<Bus>,
    /// Commands on keys, subject to the limits for users.
    key_commands: Commands,
    run_commands: RunBus,
    /// Works on runs once it is taken and started.
    engine: Mutex<Option<Engine>>,
    /// The runs that somebody follows.
    rooms: Arc<RunRooms>,
    pub metrics: Metrics,
    /// Holds what clients make this process keep in memory.
    pub memory: Memories,
    pub auth: Arc<Auth>,
    /// What the server tells everybody.
    server: Arc<ServerInfo>,
    pub reads: Arc<StoreReads>,
    /// Resolves credentials, and lists the models.
    resolver: Arc<Resolver>,
    /// Publishes new events. A [`crate::live::Tail`] must run for it.
    pub hub: Arc<EventHub>,
    pub env: Environment,
    /// The id of this process in leases.
    pub holder: Holder,
    /// How long a lease lasts without a renewal.
    pub lease: Duration,
    /// All tasks; shutdown waits for them.
    pub tracker: TaskTracker,
}

impl Core {
    /// Opens the store and the vault and wires the modules together.
    ///
    /// # Errors
    /// [`StartError`]; its message states the remedy.
    pub async fn open(
        config: &Config,
        env: Environment,
        program: &str,
        new: NewStore,
    ) -> Result<Self, StartError> {
        let beforehand = Beforehand::of(config, &env)?;
        let skipped = skipped(&beforehand.metrics);
        let opened = Opened::open(config, &env, (program, new), skipped).await?;
        Self::assemble(config, env, beforehand, opened).await
    }

    /// The same on an embedded store with its own settings, such as a size limit.
    ///
    /// # Errors
    /// [`StartError`]; its message states the remedy.
    pub async fn open_on(
        config: &Config,
        env: Environment,
        sqlite: SqliteConfig,
    ) -> Result<Self, StartError> {
        let beforehand = Beforehand::of(config, &env)?;
        let opened = Opened::embedded(config, &env, sqlite).await?;
        Self::assemble(config, env, beforehand, opened).await
    }

    /// The same over a store that is already open. The caller closes it.
    ///
    /// # Errors
    /// [`StartError`]; its message states the remedy.
    pub async fn open_over(
        config: &Config,
        env: Environment,
        store: Arc<dyn Store>,
    ) -> Result<Self, StartError> {
        let beforehand = Beforehand::of(config, &env)?;
        Self::assemble(config, env, beforehand, Opened::Given(store)).await
    }

    async fn assemble(
        config: &Config,
        env: Environment,
        beforehand: Beforehand,
        opened: Opened,
    ) -> Result<Self, StartError> {
        let Beforehand { tracker, operator, upstream, probing, issuer, metrics } = beforehand;
        let store = opened.store();
        scrub(&*store).await;
        let keychain = open_keychain(config, &store, &env).await?;
        let memory = Memories::new(config.request_memory, config.live.memory, &metrics);
        let ports = BusPorts {
            store: Arc::clone(&store),
            keychain: Arc::clone(&keychain),
            env: env.clone(),
            aggregates: Aggregates::new(Arc::clone(&store), keychain.evidence()),
        };
        let bus = command_bus(config, ports.clone(), probing, (&metrics, &tracker));
        let reads = reads_over(config, ports);
        let resolver = Arc::new(upstream.resolver(config, &reads));
        let auth_ports = AuthPorts {
            store: Arc::clone(&store),
            keychain: Arc::clone(&keychain),
            bus: Arc::clone(&bus),
            reads: Arc::clone(&reads),
            env: env.clone(),
        };
        let may_make = !has_events(&*store).await?;
        let token_key = key_files::token_key(config, may_make, &*env.entropy)?;
        let auth = Arc::new(authentication(config, auth_ports, (token_key, issuer), &tracker));
        let limits = Arc::new(command_limits(config));
        let hub = Hub::new(store.head().await.map_err(|error| store_failure(&error))?.position);
        let holder = Holder(env.ids.next());
        let lease = Duration::from_millis(config.lease_ms);
        let key_commands = Commands { bus: Arc::clone(&bus), limits: Arc::clone(&limits) };
        let rooms = Rooms {
            bus: &bus,
            reads: &reads,
            resolver: &resolver,
            limits: &limits,
            hub: &hub,
            tracker: &tracker,
            operator,
            metrics: &metrics,
        };
        let (run_commands, engine, runs) = work_on_runs(config, &rooms, upstream, holder);
        let engine = Mutex::new(Some(engine));
        let rooms = RunRooms::new(Arc::clone(&hub), runs, Arc::clone(&memory.streams));
        Ok(Self {
            opened,
            config: Arc::new(config.clone()),
            store,
            keychain,
            bus,
            key_commands,
            run_commands,
            engine,
            rooms,
            metrics,
            memory,
            auth,
            server: Arc::new(server_info(config)),
            reads,
            resolver,
            hub,
            env,
            holder,
            lease,
            tracker,
        })
    }

    /// The ports for the faces.
    pub fn ports(&self) -> Ports {
        Ports {
            keys: Arc::new(self.key_commands.clone()),
            reads: Arc::<StoreReads>::clone(&self.reads),
            credentials: Arc::<Resolver>::clone(&self.resolver),
            accounts: Arc::new(AccountsPort(Arc::clone(&self.auth))),
            administration: Arc::new(AccountsPort(Arc::clone(&self.auth))),
            server: Arc::clone(&self.server),
            feeds: Arc::new(LiveFeeds {
                reads: Arc::clone(&self.reads),
                hub: Arc::clone(&self.hub),
                memory: Arc::clone(&self.memory.streams),
            }),
            run_commands: Arc::new(self.run_commands.clone()),
            run_reads: Arc::<StoreReads>::clone(&self.reads),
            run_feeds: Arc::new(LiveRuns {
                reads: Arc::clone(&self.reads),
                rooms: Arc::clone(&self.rooms),
            }),
        }
    }

    /// Takes the engine, which works on runs. A process that never starts it only accepts commands.
    pub fn engine(&self) -> Option<Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Resolves once the store can't write any more: the process must then stop.
    pub async fn store_failed(&self) {
        self.opened.failed().await;
    }

    /// The store as it is now, for one who reads much of it, with a vault over it that has proved
    /// every master key in use as at a start. On MongoDB it is the store itself.
    ///
    /// # Errors
    /// [`StartError`]; its message states the remedy.
    pub async fn frozen(&self) -> Result<Frozen, StartError> {
        let store = self.opened.frozen().await?;
        let keychain = open_keychain(&self.config, &store, &self.env).await?;
        Ok(Frozen { store, keychain })
    }

    /// Waits for commands in progress, then closes the store.
    pub async fn close(&self) {
        self.tracker.close();
        self.tracker.wait().await;
        self.opened.close().await;
    }
}

/// A store that doesn't change, and the vault over it.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Frozen {
    pub store: Arc<dyn Store>,
    pub keychain: Arc<Keychain>,
}

/// The operator's table replaces the whole built-in table: a mixture of both would match no price
/// list.
fn prices(config: &Config) -> Result<PriceTable, PriceError> {
    let Some(path) = &config.prices else { return PriceTable::builtin() };
    let text = open_regular(path).and_then(|file| read_whole(&file));
    PriceTable::parse(without_mark(&text.map_err(PriceError::File)?))
}

/// The metrics, and the reports of failed calls that count in them.
fn counted() -> (Metrics, Reports) {
    let metrics = Metrics::default();
    let counts = metrics.clone();
    (metrics, Reports::to(move |class| counts.upstream_failed(class)))
}

/// Anthropic's API, prices and models.
struct Upstream {
    client: AnthropicClient,
    prices: Arc<PriceTable>,
    models: Arc<ModelList>,
}

impl Upstream {
    fn of(config: &Config, reports: Reports) -> Result<Self, StartError> {
        let prices = Arc::new(prices(config)?);
        let client = upstream(config)?.reporting(reports);
        let operator = config.anthropic_api_key.clone().or_else(|| config.claude_api_key.clone());
        let models =
            ModelList::new(client.clone(), Arc::clone(&prices), operator, config.model.clone());
        Ok(Self { client, prices, models: Arc::new(models) })
    }

    fn resolver(&self, config: &Config, reads: &Arc<StoreReads>) -> Resolver {
        Resolver {
            reads: Arc::<StoreReads>::clone(reads),
            clock: Arc::clone(&reads.env.clock),
            policy: policy(config),
            models: Arc::clone(&self.models),
        }
    }

    /// How keys are tested, and the model for tests that name none.
    fn probing(&self, env: &Environment) -> Result<(KeyProbe, ModelId), StartError> {
        let model = self.models.default_model(env.clock.now()).ok_or(StartError::NoModel)?;
        Ok((KeyProbe::new(self.client.clone(), Arc::clone(&self.prices)), model))
    }
}

fn reads_over(config: &Config, ports: BusPorts) -> Arc<StoreReads> {
    let BusPorts { store, keychain, env, aggregates } = ports;
    let view_wait = Duration::from_millis(config.view_wait_ms);
    Arc::new(StoreReads { store, keychain, env, aggregates, view_wait })
}

/// What commands on runs and the engine share.
struct Rooms<'a> {
    bus: &'a Arc<Bus>,
    reads: &'a Arc<StoreReads>,
    resolver: &'a Arc<Resolver>,
    limits: &'a Arc<CommandLimits>,
    hub: &'a Arc<EventHub>,
    tracker: &'a TaskTracker,
    operator: Operator,
    metrics: &'a Metrics,
}

/// Commands on runs, the engine that works on them, and the hub that publishes their text.
fn work_on_runs(
    config: &Config,
    rooms: &Rooms<'_>,
    upstream: Upstream,
    holder: Holder,
) -> (RunBus, Engine, Arc<RunHub>) {
    let (engine, told) = EngineHandle::new();
    let runs = Arc::new(RunHub::default());
    let settings = Arc::new(RunSettings::new(upstream.prices.version()));
    let (bus, reads) = (Arc::clone(rooms.bus), Arc::clone(rooms.reads));
    let commands = RunBus {
        bus: Arc::clone(&bus),
        resolver: Arc::clone(rooms.resolver),
        runs: Arc::<StoreReads>::clone(&reads),
        settings,
        engine: Arc::new(engine),
        limits: Arc::clone(rooms.limits),
    };
    let engine = EngineParts {
        bus,
        reads,
        resolver: Arc::clone(rooms.resolver),
        hub: Arc::clone(rooms.hub),
        runs: Arc::clone(&runs),
        client: upstream.client,
        prices: upstream.prices,
        operator: rooms.operator.clone(),
        metrics: rooms.metrics.clone(),
        holder,
        tracker: rooms.tracker.clone(),
        settings: engine_settings(config),
    };
    (commands, Engine::new(engine, told), runs)
}

fn engine_settings(config: &Config) -> EngineSettings {
    EngineSettings {
        lease: Duration::from_millis(config.lease_ms),
        drain: Duration::from_millis(config.drain_ms),
        calls_per_key: config.calls_per_key,
        max_plan_calls: CLAUDE_PROGRAMS,
        runs_at_once: config.runs_at_once,
        retry_budget: Duration::from_millis(config.calls.retry_budget_ms),
        limits: stream_limits(config),
        ..EngineSettings::default()
    }
}

fn upstream(config: &Config) -> Result<AnthropicClient, ClientError> {
    let mut settings = AnthropicConfig::default();
    if let Some(base_url) = &config.anthropic_base_url {
        settings.base_url.clone_from(base_url);
    }
    settings.call_timeout = Duration::from_millis(config.test_timeout_ms);
    settings.proxy.clone_from(&config.upstream_proxy);
    AnthropicClient::new(&settings)
}

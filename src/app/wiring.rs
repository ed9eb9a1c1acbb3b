//! Wires the modules together. The only place that names a concrete store.

use super::config::Config;
use super::key_files::{self, KeyFileError};
use super::max_plan::{CLAUDE_PROGRAMS, operator_of, stream_limits};
use super::parts::{authentication, command_bus, command_limits, policy, server_info};
use crate::aggregates::Aggregates;
use crate::anthropic::claude_program::MaxPlanError;
use crate::anthropic::client::{AnthropicClient, AnthropicConfig, ClientError};
use crate::anthropic::prices::{PriceError, PriceTable};
use crate::anthropic::probe::KeyProbe;
use crate::auth::{AccountsPort, Auth, AuthPorts, JwksError};
use crate::bus::{Bus, BusPorts, Commands, RunBus, RunSettings};
use crate::credentials::{ModelList, Resolver};
use crate::engine::{Engine, EngineHandle, EngineParts, EngineSettings, Operator};
use crate::keychain::{Keychain, KeychainError, scrub};
use crate::limits::{CommandLimits, Memories};
use crate::live::{EventHub, LiveFeeds, LiveRuns, RunHub, RunRooms};
use crate::reads::StoreReads;
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use crate::system::metrics::Metrics;
use claviger_application::{Ports, ServerInfo};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::text::ModelId;
use claviger_projections::feed::Hub;
use claviger_projections::ports::{Holder, Store};
use claviger_store::mongo::{self, MongoConfig, MongoStore};
use claviger_store::sqlite::{self, DATABASE_FILE, SqliteConfig, SqliteStore};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Why the program can't start.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is its cause, documented there")]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] sqlite::OpenError),
    #[error(transparent)]
    MongoDb(#[from] mongo::OpenError),
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    #[error(transparent)]
    Vault(#[from] KeychainError),
    #[error("the upstream can't be used: {0}")]
    Upstream(#[from] ClientError),
    #[error("the price table can't be read: {0}")]
    Prices(#[from] PriceError),
    #[error(transparent)]
    Issuer(#[from] JwksError),
    #[error("no model is known: set CLAVIGER_MODEL")]
    NoModel,
    #[error(transparent)]
    MaxPlan(#[from] MaxPlanError),
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl StartError {
    /// The code of the contract, for the exit code.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Store(_) | Self::MongoDb(_) => ErrorCode::StoreUnavailable,
            Self::Keys(_) | Self::Vault(_) => ErrorCode::KeyUnavailable,
            Self::Upstream(_)
            | Self::Prices(_)
            | Self::NoModel
            | Self::Issuer(_)
            | Self::MaxPlan(_) => ErrorCode::Validation,
            Self::Failure(failure) => failure.code,
        }
    }
}

/// Commands that make no store: in a directory without one, the directory is the mistake.
const NEED_A_STORE: [&str; 6] = [
    "claviger key",
    "claviger replay",
    "claviger user",
    "claviger vault rotate",
    "claviger vault status",
    "claviger verify",
];

fn no_store(data_dir: &Path) -> Failure {
    let message = format!(
        "there is no store in {}: name its directory (--data-dir); `claviger serve` and `claviger \
         user add` make one",
        data_dir.display()
    );
    Failure::new(ErrorCode::NotFound, message)
}

/// Whether nothing was ever written to the store. Only then a missing key file may be made: in any
/// other store it was lost.
async fn is_new(store: &dyn Store) -> Result<bool, StartError> {
    let has_keys = !store.store_keys().await.map_err(KeychainError::Store)?.is_empty()
        || !store.user_keys_by_kek().await.map_err(KeychainError::Store)?.is_empty();
    Ok(!has_keys && !has_events(store).await?)
}

async fn has_events(store: &dyn Store) -> Result<bool, StartError> {
    Ok(store.head().await.map_err(KeychainError::Store)?.position > 0)
}

async fn open_keychain(
    config: &Config,
    store: &Arc<dyn Store>,
    env: &Environment,
) -> Result<Arc<Keychain>, StartError> {
    let keks = key_files::master_keys(config, is_new(&**store).await?, &*env.entropy)?;
    let again = key_files::look_again(config);
    let keychain = Keychain::open_with(Arc::clone(store), keks, again, env.clone()).await?;
    Ok(Arc::new(keychain))
}

/// The open store, where SQLite and MongoDB differ: closing and failure.
#[derive(Clone)]
enum Opened {
    Embedded(Arc<SqliteStore>),
    MongoDb(Arc<MongoStore>),
    /// Opened by the caller, who closes it.
    Given(Arc<dyn Store>),
}

impl Opened {
    async fn open(config: &Config, env: &Environment, program: &str) -> Result<Self, StartError> {
        if let Some(uri) = &config.mongodb_uri {
            let lease = Duration::from_millis(config.lease_ms);
            // The database has a clock of its own, unless time itself is a test's.
            let asks_clock = env.other_clock.now().is_some();
            let mongo = MongoConfig {
                lease,
                asks_clock,
                ..MongoConfig::new(uri.clone(), Arc::clone(&env.entropy))
            };
            return Ok(Self::MongoDb(Arc::new(MongoStore::open(&mongo).await?)));
        }
        if NEED_A_STORE.contains(&program) && !config.data_dir.join(DATABASE_FILE).exists() {
            return Err(no_store(&config.data_dir).into());
        }
        let sqlite = SqliteConfig::new(&config.data_dir, program, env.clock.now());
        let other_clock = Arc::clone(&env.other_clock);
        Self::embedded(SqliteConfig { other_clock, ..sqlite }).await
    }

    /// Opening waits for the disk, so it has a thread of its own.
    async fn embedded(sqlite: SqliteConfig) -> Result<Self, StartError> {
        let opening = TaskTracker::new().spawn_blocking(move || SqliteStore::open(&sqlite));
        let store = opening.await.map_err(|_| Failure::internal())??;
        Ok(Self::Embedded(Arc::new(store)))
    }

    fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Embedded(store) => Arc::<SqliteStore>::clone(store),
            Self::MongoDb(store) => Arc::<MongoStore>::clone(store),
            Self::Given(store) => Arc::clone(store),
        }
    }

    /// Resolves once the store can't write any more. On MongoDB it never resolves: the server may
    /// become available again.
    async fn failed(&self) {
        if let Self::Embedded(store) = self
            && store.failure().wait_for(Option::is_some).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    async fn close(self) {
        match self {
            Self::Embedded(store) => {
                if TaskTracker::new().spawn_blocking(move || store.close()).await.is_err() {
                    tracing::error!("the store could not be closed in order");
                }
            }
            Self::MongoDb(store) => store.close().await,
            Self::Given(_) => {}
        }
    }
}

/// The program without its faces.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Core {
    opened: Opened,
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
    ) -> Result<Self, StartError> {
        let opened = Opened::open(config, &env, program).await?;
        Self::assemble(config, env, opened).await
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
        let opened = Opened::embedded(sqlite).await?;
        Self::assemble(config, env, opened).await
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
        Self::assemble(config, env, Opened::Given(store)).await
    }

    async fn assemble(
        config: &Config,
        env: Environment,
        opened: Opened,
    ) -> Result<Self, StartError> {
        let tracker = TaskTracker::new();
        let operator = operator_of(config, env.kernel.has_landlock(), &tracker)?;
        let store = opened.store();
        scrub(&*store).await;
        let keychain = open_keychain(config, &store, &env).await?;
        let (upstream, metrics) = (Upstream::of(config)?, Metrics::default());
        let memory = Memories::new(config.request_memory, config.live.memory, &metrics);
        let ports = BusPorts {
            store: Arc::clone(&store),
            keychain: Arc::clone(&keychain),
            env: env.clone(),
            aggregates: Aggregates::new(Arc::clone(&store), keychain.evidence()),
        };
        let bus = command_bus(config, ports.clone(), upstream.probing(&env)?, (&metrics, &tracker));
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
        let auth = Arc::new(authentication(config, auth_ports, token_key, &tracker)?);
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

    /// Waits for commands in progress, then closes the store.
    pub async fn close(self) {
        self.tracker.close();
        self.tracker.wait().await;
        self.opened.close().await;
    }
}

/// The operator's table replaces the whole built-in table: a mixture of both would match no price
/// list.
fn prices(config: &Config) -> Result<PriceTable, PriceError> {
    let Some(path) = &config.prices else { return PriceTable::builtin() };
    PriceTable::parse(&std::fs::read_to_string(path).map_err(PriceError::File)?)
}

/// Anthropic's API, prices and models.
struct Upstream {
    client: AnthropicClient,
    prices: Arc<PriceTable>,
    models: Arc<ModelList>,
}

impl Upstream {
    fn of(config: &Config) -> Result<Self, StartError> {
        let prices = Arc::new(prices(config)?);
        let client = upstream(config)?;
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
    AnthropicClient::new(&settings)
}

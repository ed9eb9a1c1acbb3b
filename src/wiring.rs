//! Puts the rooms together. The only place that names a concrete store.

use crate::anthropic::client::{AnthropicClient, AnthropicConfig, ClientError};
use crate::anthropic::prices::{PriceError, PriceTable};
use crate::anthropic::probe::KeyProbe;
use crate::auth::{AccountsPort, Auth, AuthConfig, AuthPorts, Passwords};
use crate::bench::Ground;
use crate::bus::{Bus, BusConfig, Commands, Keychain, KeychainError, scrub};
use crate::config::Config;
use crate::effects::Effects;
use crate::key_files::{self, KeyFileError};
use crate::reads::{CredentialPolicy, ModelList, StoreReads};
use crate::store::mongo::{self, MongoConfig, MongoGround, MongoStore};
use crate::store::sqlite::{self, SqliteConfig, SqliteGround, SqliteStore};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_graphql::ports::Ports;
use claviger_projections::ports::{Holder, Store};
use std::path::PathBuf;
use std::sync::Arc;
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
    #[error("no model is known: set CLAVIGER_MODEL")]
    NoModel,
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl StartError {
    /// The code of the contract, for the exit code.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Store(_) | Self::MongoDb(_) => ErrorCode::StoreUnavailable,
            Self::Keys(_) | Self::Vault(_) => ErrorCode::KeyUnavailable,
            Self::Upstream(_) | Self::Prices(_) | Self::NoModel => ErrorCode::Validation,
            Self::Failure(failure) => failure.code,
        }
    }
}

/// The store, for what is particular to each: closing, failure.
#[derive(Clone)]
enum Opened {
    Embedded(Arc<SqliteStore>),
    MongoDb(Arc<MongoStore>),
}

impl Opened {
    async fn open(config: &Config, effects: &Effects, program: &str) -> Result<Self, StartError> {
        if let Some(uri) = &config.mongodb_uri {
            let mongo = MongoConfig::new(uri.clone(), Arc::clone(&effects.entropy));
            return Ok(Self::MongoDb(Arc::new(MongoStore::open(&mongo).await?)));
        }
        Self::embedded(SqliteConfig::new(&config.data_dir, program, effects.clock.now())).await
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
        }
    }

    /// Resolves once the store can't write any more. On MongoDB that never is: a server may come back.
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
        }
    }
}

/// Where throw-away stores of the configured kind are made: on the configured server, or beneath a directory.
pub fn bench_ground(config: &Config, beneath: PathBuf, effects: &Effects) -> Box<dyn Ground> {
    match &config.mongodb_uri {
        Some(uri) => Box::new(MongoGround::new(uri.clone(), effects.clone())),
        None => Box::new(SqliteGround::new(beneath, effects.clone())),
    }
}

/// The program without its faces.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Core {
    opened: Opened,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The vault over it.
    pub keychain: Arc<Keychain>,
    /// Commands.
    pub bus: Arc<Bus>,
    /// Accounts and sessions.
    pub auth: Arc<Auth>,
    /// Reads.
    pub reads: Arc<StoreReads>,
    /// The outside world.
    pub effects: Effects,
    /// This process, to whom leases are given.
    pub holder: Holder,
    /// How long a lease lasts that nobody renews.
    pub lease: Duration,
    /// All tasks: waited for at the end.
    pub tracker: TaskTracker,
}

impl Core {
    /// Opens the store and the vault and puts the rooms together.
    ///
    /// # Errors
    /// [`StartError`], which says what to do.
    pub async fn open(config: &Config, effects: Effects, program: &str) -> Result<Self, StartError> {
        let opened = Opened::open(config, &effects, program).await?;
        Self::assemble(config, effects, opened).await
    }

    /// The same on an embedded store with settings of its own, such as a bound of its size.
    ///
    /// # Errors
    /// [`StartError`], which says what to do.
    pub async fn open_on(config: &Config, effects: Effects, sqlite: SqliteConfig) -> Result<Self, StartError> {
        let opened = Opened::embedded(sqlite).await?;
        Self::assemble(config, effects, opened).await
    }

    async fn assemble(config: &Config, effects: Effects, opened: Opened) -> Result<Self, StartError> {
        let store = opened.store();
        scrub(&*store).await;
        let is_new = store.store_keys().await.map_err(KeychainError::Store)?.is_empty();
        let keks = key_files::master_keys(config, is_new, &*effects.entropy)?;
        let keychain = Arc::new(Keychain::open(Arc::clone(&store), keks, effects.clone()).await?);
        let tracker = TaskTracker::new();

        let prices = Arc::new(PriceTable::builtin()?);
        let client = upstream(config)?;
        let operator = config.anthropic_api_key.clone().or_else(|| config.claude_api_key.clone());
        let models = ModelList::new(client.clone(), Arc::clone(&prices), operator, config.model.clone());
        let test_model = models.default_model(effects.clock.now()).ok_or(StartError::NoModel)?;
        let probe = KeyProbe::new(client, prices);
        let bus_config = BusConfig { max_keys: config.max_keys, test_timeout_ms: config.test_timeout_ms, test_model };
        let bus = Bus::new(Arc::clone(&store), Arc::clone(&keychain), effects.clone(), probe, bus_config, tracker.clone());

        let token_key = key_files::token_key(config, &*effects.entropy)?;
        let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let passwords = Passwords::new(at_once, Arc::clone(&effects.entropy), tracker.clone())?;
        let ports = AuthPorts {
            store: Arc::clone(&store),
            keychain: Arc::clone(&keychain),
            bus: Arc::clone(&bus),
            effects: effects.clone(),
        };
        let auth_config = AuthConfig { registration: config.registration, ..AuthConfig::default() };
        let auth = Arc::new(Auth::new(ports, passwords, token_key, auth_config));

        let policy = CredentialPolicy {
            anthropic_api_key: config.anthropic_api_key.is_some(),
            claude_api_key: config.claude_api_key.is_some(),
            env_keys_for: config.env_keys_for,
            max_plan: config.max_plan,
        };
        let reads = Arc::new(StoreReads {
            store: Arc::clone(&store),
            keychain: Arc::clone(&keychain),
            effects: effects.clone(),
            policy,
            models: Arc::new(models),
            view_wait: Duration::from_millis(config.view_wait_ms),
        });
        let holder = Holder(effects.ids.next());
        let lease = Duration::from_millis(config.lease_ms);
        Ok(Self { opened, store, keychain, bus, auth, reads, effects, holder, lease, tracker })
    }

    /// What the schema stands on.
    pub fn ports(&self) -> Ports {
        Ports {
            keys: Arc::new(Commands(Arc::clone(&self.bus))),
            reads: Arc::<StoreReads>::clone(&self.reads),
            accounts: Arc::new(AccountsPort(Arc::clone(&self.auth))),
        }
    }

    /// Resolves once the store can't write any more: the process must then stop.
    pub async fn store_failed(&self) {
        self.opened.failed().await;
    }

    /// Waits for commands under way, then closes the store.
    pub async fn close(self) {
        self.tracker.close();
        self.tracker.wait().await;
        self.opened.close().await;
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

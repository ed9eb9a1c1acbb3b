//! The way to an open store: it is looked at, what can't be worked on is refused, and only then it is
//! opened. The only place that opens a concrete store.

use super::config::Config;
use super::key_files::{self, KeyFileError};
use crate::anthropic::claude_program::MaxPlanError;
use crate::anthropic::client::ClientError;
use crate::anthropic::prices::PriceError;
use crate::auth::JwksError;
use crate::keychain::{Keychain, KeychainError, check_master_keys};
use crate::system::environment::Environment;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_projections::ports::Store;
use claviger_store::mongo::{self, MongoConfig, MongoStore};
use claviger_store::sqlite::{self, DATABASE_FILE, LOCK_FILE, SqliteConfig, SqliteStore};
use claviger_store::{Glance, Skipped};
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
    /// Whether another process has the data directory.
    pub const fn is_in_use(&self) -> bool {
        matches!(self, Self::Store(sqlite::OpenError::InUse { .. }))
    }

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

/// What a command does in a place without a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewStore {
    /// It makes one.
    Made,
    /// It has nothing to do there: the place is the mistake.
    Refused,
}

fn no_store(place: &str, name: &str) -> Failure {
    let message = format!(
        "there is no store in {place}: name {name}; `claviger serve` and `claviger user add` make one"
    );
    Failure::new(ErrorCode::NotFound, message)
}

/// Whether nothing was ever written to the store. Only then a missing key file may be made: in any
/// other store it was lost.
pub(super) async fn is_new(store: &dyn Store) -> Result<bool, StartError> {
    let has_keys = !store.store_keys().await.map_err(KeychainError::Store)?.is_empty()
        || !store.user_keys_by_kek().await.map_err(KeychainError::Store)?.is_empty();
    Ok(!has_keys && !has_events(store).await?)
}

pub(super) async fn has_events(store: &dyn Store) -> Result<bool, StartError> {
    Ok(store.head().await.map_err(KeychainError::Store)?.position > 0)
}

/// Whether the keys that are at hand are those of a store as it was seen: nothing is made, and
/// nothing in the store is changed, for a process that will not get to work on it.
fn check_keys(config: &Config, env: &Environment, glance: &Glance) -> Result<(), StartError> {
    let own = key_files::own_token_file(config);
    if glance.is_new()
        && let Some(path) = &own
        && path.exists()
    {
        // It is made after the store's own keys are in the store.
        return Err(KeyFileError::StoreGone { path: path.clone() }.into());
    }
    let is_made =
        |path: Option<PathBuf>, may_make: bool| may_make && path.is_some_and(|path| !path.exists());
    if !is_made(key_files::own_file(config), glance.is_new()) {
        let keks = key_files::master_keys(config, false, &*env.entropy)?;
        check_master_keys(&keks, &glance.store_keys, glance.user_keks.iter().copied())?;
    }
    if !is_made(own, glance.position == 0) {
        key_files::token_key(config, false, &*env.entropy)?;
    }
    Ok(())
}

pub(super) async fn open_keychain(
    config: &Config,
    store: &Arc<dyn Store>,
    env: &Environment,
) -> Result<Arc<Keychain>, StartError> {
    let keks = key_files::master_keys(config, is_new(&**store).await?, &*env.entropy)?;
    let again = key_files::look_again(config);
    let keychain = Keychain::open_with(Arc::clone(store), keks, again, env.clone()).await?;
    Ok(Arc::new(keychain))
}

/// The open store, where SQLite and MongoDB differ: snapshots, closing and failure.
#[derive(Clone)]
pub(super) enum Opened {
    Embedded(Arc<SqliteStore>),
    MongoDb(Arc<MongoStore>),
    /// Opened by the caller, who closes it.
    Given(Arc<dyn Store>),
}

impl Opened {
    /// Looks at the store, refuses what can't be worked on, and only then opens it: opening makes what
    /// is missing and brings an older format to the newest.
    pub(super) async fn open(
        config: &Config,
        env: &Environment,
        (program, new): (&str, NewStore),
        skipped: Skipped,
    ) -> Result<Self, StartError> {
        let skipped = Arc::new(skipped);
        if let Some(uri) = &config.mongodb_uri {
            let lease = Duration::from_millis(config.lease_ms);
            // The database has a clock of its own, unless time itself is a test's.
            let asks_clock = env.other_clock.now().is_some();
            let mongo = MongoConfig {
                lease,
                asks_clock,
                skipped,
                ..MongoConfig::new(uri.clone(), Arc::clone(&env.entropy))
            };
            let looked = MongoStore::look(&mongo).await?;
            if new == NewStore::Refused && !looked.glance().is_there {
                return Err(no_store(
                    &format!("the database {}", looked.database()),
                    "another one",
                )
                .into());
            }
            check_keys(config, env, looked.glance())?;
            return Ok(Self::MongoDb(Arc::new(looked.open().await?)));
        }
        if new == NewStore::Refused
            && !config.data_dir.join(DATABASE_FILE).exists()
            && !config.data_dir.join(LOCK_FILE).exists()
        {
            let place = config.data_dir.display().to_string();
            return Err(no_store(&place, "its directory (--data-dir)").into());
        }
        let sqlite = SqliteConfig::new(&config.data_dir, program, env.clock.now());
        let other_clock = Arc::clone(&env.other_clock);
        Self::embedded(config, env, SqliteConfig { other_clock, skipped, ..sqlite }).await
    }

    /// Opening waits for the disk, so it has a thread of its own.
    pub(super) async fn embedded(
        config: &Config,
        env: &Environment,
        sqlite: SqliteConfig,
    ) -> Result<Self, StartError> {
        let (config, env) = (config.clone(), env.clone());
        let opening = TaskTracker::new().spawn_blocking(move || {
            let looked = SqliteStore::look(&sqlite)?;
            check_keys(&config, &env, looked.glance())?;
            Ok::<_, StartError>(looked.open()?)
        });
        let store = opening.await.map_err(|_| Failure::internal())??;
        Ok(Self::Embedded(Arc::new(store)))
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Embedded(store) => Arc::<SqliteStore>::clone(store),
            Self::MongoDb(store) => Arc::<MongoStore>::clone(store),
            Self::Given(store) => Arc::clone(store),
        }
    }

    /// The store as it is at this moment. MongoDB's has no such thing that would last long enough.
    pub(super) async fn frozen(&self) -> Result<Arc<dyn Store>, StartError> {
        let Self::Embedded(store) = self else { return Ok(self.store()) };
        let store = Arc::clone(store);
        let opening = TaskTracker::new().spawn_blocking(move || store.snapshot());
        Ok(Arc::new(opening.await.map_err(|_| Failure::internal())??))
    }

    /// Resolves once the store can't write any more. On MongoDB it never resolves: the server may
    /// become available again.
    pub(super) async fn failed(&self) {
        if let Self::Embedded(store) = self
            && store.failure().wait_for(Option::is_some).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Embedded(store) => {
                let store = Arc::clone(store);
                if TaskTracker::new().spawn_blocking(move || store.close()).await.is_err() {
                    tracing::error!("the store could not be closed in order");
                }
            }
            Self::MongoDb(store) => store.close().await,
            Self::Given(_) => {}
        }
    }
}

//! The concrete stores.

use super::StartError;
use crate::app::config::Config;
use crate::system::environment::Environment;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_projections::ports::Store;
use claviger_store::mongo::{MongoConfig, MongoStore};
use claviger_store::sqlite::{DATABASE_FILE, SqliteConfig, SqliteStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// What a command does in a place without a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewStore {
    /// It makes one.
    Made,
    /// It has nothing to do there: the place is the mistake.
    Refused,
}

fn no_store(data_dir: &Path) -> Failure {
    let message = format!(
        "there is no store in {}: name its directory (--data-dir); `claviger serve` and `claviger \
         user add` make one",
        data_dir.display()
    );
    Failure::new(ErrorCode::NotFound, message)
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
    pub(super) async fn open(
        config: &Config,
        env: &Environment,
        program: &str,
        new: NewStore,
    ) -> Result<Self, StartError> {
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
        if new == NewStore::Refused && !config.data_dir.join(DATABASE_FILE).exists() {
            return Err(no_store(&config.data_dir).into());
        }
        let sqlite = SqliteConfig::new(&config.data_dir, program, env.clock.now());
        let other_clock = Arc::clone(&env.other_clock);
        Self::embedded(SqliteConfig { other_clock, ..sqlite }).await
    }

    /// Opening waits for the disk, so it has a thread of its own.
    pub(super) async fn embedded(sqlite: SqliteConfig) -> Result<Self, StartError> {
        let opening = TaskTracker::new().spawn_blocking(move || SqliteStore::open(&sqlite));
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

//! Stores of each kind: where they are, how they are opened, and how they end.

use super::environment::NOW;
use super::mongo::{OwnServer, server};
use claviger::app::config::Config;
use claviger::system::environment::OsEntropy;
use claviger_projections::ports::{ACTIVITY, Holder, LeaseName, Store, USAGE};
use claviger_store::address::MongoUri;
use claviger_store::mongo::{MongoConfig, MongoStore};
use claviger_store::sqlite::{DATABASE_FILE, SqliteConfig, SqliteStore};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A store to run on. Another one needs a value here, a [`Place`], and its way to be
/// [left by a kill](left_by_a_kill).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Sqlite,
    MongoDb,
}

impl StoreKind {
    /// The stores that can be had here.
    pub(crate) async fn available() -> &'static [Self] {
        if server().await.is_some() { &[Self::Sqlite, Self::MongoDb] } else { &[Self::Sqlite] }
    }
}

/// The embedded store in a directory.
pub(crate) fn sqlite_config(dir: impl Into<PathBuf>) -> SqliteConfig {
    SqliteConfig::new(dir, "claviger test", NOW)
}

/// The store in a database.
pub(crate) fn mongo_config(uri: MongoUri) -> MongoConfig {
    MongoConfig::new(uri, Arc::new(OsEntropy))
}

pub(crate) fn sqlite(dir: impl Into<PathBuf>) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(&sqlite_config(dir)).unwrap())
}

pub(crate) async fn mongodb(uri: MongoUri) -> Arc<MongoStore> {
    Arc::new(MongoStore::open(&mongo_config(uri)).await.unwrap())
}

/// What a kill at this moment leaves of an embedded store, in a directory of its own: the files
/// without shared memory and lock, because the old process still runs and must not matter.
pub(crate) fn left_by_a_kill(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let write_ahead_log = format!("{DATABASE_FILE}-wal");
    for file in [DATABASE_FILE, &write_ahead_log, "master.key", "token.key"] {
        if dir.join(file).exists() {
            std::fs::copy(dir.join(file), copy.path().join(file)).unwrap();
        }
    }
    copy
}

/// Where a store is.
#[derive(Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    /// The database, and what sees every command that is sent to it.
    MongoDb(MongoUri, Option<EventHandler<CommandEvent>>),
}

impl Place {
    pub(crate) fn sqlite(dir: impl Into<PathBuf>) -> Self {
        Self::Sqlite(dir.into())
    }

    pub(crate) fn mongodb(uri: MongoUri) -> Self {
        Self::MongoDb(uri, None)
    }

    /// Where a process with this configuration has its store.
    pub(crate) fn of(config: &Config) -> Self {
        match &config.mongodb_uri {
            Some(uri) => Self::mongodb(uri.clone()),
            None => Self::sqlite(&config.data_dir),
        }
    }

    /// Opens it, as a process of its own would where several may.
    pub(crate) async fn open(&self) -> Opened {
        match self {
            Self::Sqlite(dir) => Opened::Sqlite(sqlite(dir)),
            Self::MongoDb(uri, monitor) => {
                let config = MongoConfig { monitor: monitor.clone(), ..mongo_config(uri.clone()) };
                Opened::MongoDb(Arc::new(MongoStore::open(&config).await.unwrap()))
            }
        }
    }
}

/// An open store, which outlives the processes on it: they can be dropped at any moment.
#[derive(Clone)]
pub(crate) enum Opened {
    Sqlite(Arc<SqliteStore>),
    MongoDb(Arc<MongoStore>),
}

impl Opened {
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::<SqliteStore>::clone(store),
            Self::MongoDb(store) => Arc::<MongoStore>::clone(store),
        }
    }

    /// The engine lease of a process that is gone has lapsed, if it ever had one.
    pub(crate) async fn lapse(&self, holder: Holder) {
        self.store().release(LeaseName::Engine(holder.0), holder).await.unwrap();
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(store) => {
                tokio::task::spawn_blocking(move || store.close()).await.unwrap();
            }
            Self::MongoDb(store) => store.close().await,
        }
    }
}

/// A place for a store, empty at first and removed at the end.
pub(crate) struct TempPlace {
    kind: StoreKind,
    dir: TempDir,
    /// On MongoDB: the address of the database.
    uri: Option<String>,
    /// The database's name, where others are beside it.
    database: Option<String>,
    _own: Option<OwnServer>,
}

impl TempPlace {
    pub(crate) async fn new(kind: StoreKind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut uri, mut database) = (None, None);
        if kind == StoreKind::MongoDb {
            let server = server().await.expect("the kind is there only with a server");
            let name = server.database();
            (uri, database) = (Some(server.uri_text(&name)), Some(name));
        }
        Self { kind, dir, uri, database, _own: None }
    }

    /// The same on a MongoDB of its own, where one can be had: killed processes leave transactions
    /// open, and other tests would wait for their end.
    pub(crate) async fn apart(kind: StoreKind) -> Self {
        let own = (kind == StoreKind::MongoDb).then(OwnServer::start).flatten();
        let Some(own) = own else { return Self::new(kind).await };
        let (dir, uri) = (tempfile::tempdir().unwrap(), Some(own.uri_text()));
        Self { kind, dir, uri, database: None, _own: Some(own) }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn uri(&self) -> Option<&str> {
        self.uri.as_deref()
    }

    pub(crate) fn place(&self) -> Place {
        match self.uri() {
            Some(uri) => Place::mongodb(uri.parse().unwrap()),
            None => Place::sqlite(self.dir()),
        }
    }

    /// Becomes what a kill at this moment leaves. Keep what is returned until the old process is
    /// gone: it is that process's directory.
    pub(crate) fn killed(&mut self) -> TempDir {
        // A database outlives its clients.
        let left = match self.kind {
            StoreKind::Sqlite => left_by_a_kill(self.dir()),
            StoreKind::MongoDb => tempfile::tempdir().unwrap(),
        };
        std::mem::replace(&mut self.dir, left)
    }

    pub(crate) async fn remove(self) {
        if let (Some(name), Some(server)) = (&self.database, server().await) {
            // A process that was killed may have left a transaction open, and the server ends it in
            // its own time.
            drop(tokio::time::timeout(Duration::from_secs(5), server.remove(name)).await);
        }
    }
}

/// Waits until the views that follow the log have reached its end.
pub(crate) async fn caught_up(store: &dyn Store) {
    let reached = async |view| {
        let at = store.checkpoint(view).await.unwrap().position;
        at >= store.head().await.unwrap().position
    };
    let all = async {
        while !(reached(ACTIVITY).await && reached(USAGE).await) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), all).await.expect("the views catch up");
}

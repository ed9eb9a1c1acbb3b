//! A store that outlives the processes on it, so that they can be dropped in the middle of everything; and stores that hold them there.

use super::world::{Kind, World};
use crate::store::bent::{Bent, Over};
use crate::store::mongo::server::server;
use claviger::system::environment::OsEntropy;
use claviger_domain::id::RunId;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, AppendError, Appended, BoxFuture, DeltaRow, FlushError, Hold, Holder, LeaseName, Store,
    StoreError,
};
use claviger_store::mongo::{MongoConfig, MongoStore};
use claviger_store::sqlite::{SqliteConfig, SqliteStore};
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::sync::watch;

/// An open store.
pub(super) enum Ground {
    Sqlite(Arc<SqliteStore>),
    MongoDb(Arc<MongoStore>),
}

impl Ground {
    /// The world's store.
    pub(super) async fn of(world: &World) -> Self {
        if let Some(uri) = &world.config.mongodb_uri {
            let config = MongoConfig::new(uri.clone(), Arc::new(OsEntropy));
            return Self::MongoDb(Arc::new(MongoStore::open(&config).await.unwrap()));
        }
        let config = SqliteConfig::new(
            &world.config.data_dir,
            "claviger engine test",
            Timestamp(1_795_446_000_000),
        );
        Self::Sqlite(Arc::new(SqliteStore::open(&config).unwrap()))
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::<SqliteStore>::clone(store),
            Self::MongoDb(store) => Arc::<MongoStore>::clone(store),
        }
    }

    /// The lease of a process that is gone has lapsed, if it ever had one.
    pub(super) async fn lapse(&self, holder: Holder) {
        self.store().release(LeaseName::Engine(holder.0), holder).await.unwrap();
    }

    pub(super) async fn close(self) {
        match self {
            Self::Sqlite(store) => {
                tokio::task::spawn_blocking(move || store.close()).await.unwrap()
            }
            Self::MongoDb(store) => store.close().await,
        }
    }
}

/// An empty store beside a world's, gone when closed.
pub(super) struct Fresh {
    pub(super) ground: Ground,
    database: Option<String>,
    _dir: TempDir,
}

impl Fresh {
    pub(super) async fn open(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if kind == Kind::Sqlite {
            let config =
                SqliteConfig::new(dir.path(), "claviger engine test", Timestamp(1_795_446_000_000));
            let ground = Ground::Sqlite(Arc::new(SqliteStore::open(&config).unwrap()));
            return Self { ground, database: None, _dir: dir };
        }
        let server = server().await.expect("the kind is there only with a server");
        let name = server.database();
        let config = MongoConfig::new(server.uri(&name), Arc::new(OsEntropy));
        let ground = Ground::MongoDb(Arc::new(MongoStore::open(&config).await.unwrap()));
        Self { ground, database: Some(name), _dir: dir }
    }

    pub(super) async fn close(self) {
        self.ground.close().await;
        if let (Some(name), Some(server)) = (&self.database, server().await) {
            server.remove(name).await;
        }
    }
}

/// Which stores to test on.
pub(super) async fn kinds() -> &'static [Kind] {
    Kind::available().await
}

/// Where exactly a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Before the append is made.
    Before,
    /// After it is durable, and before anybody is told.
    After,
    /// Before it is made; it is made all the same, when the next process has read the run and is about to claim it.
    Late,
}

/// A store that answers nothing any more from a certain append of a run's events on.
pub(super) struct Halting {
    inner: Arc<dyn Store>,
    /// At which one, from 1.
    at: usize,
    when: When,
    met: AtomicUsize,
    halted: watch::Sender<Option<RunId>>,
    held: Mutex<Option<Append>>,
    /// Made before the next append of a run's events.
    late: Mutex<Option<Append>>,
}

impl Halting {
    pub(super) fn new(inner: Arc<dyn Store>, at: usize, when: When) -> Arc<Self> {
        let (met, halted) = (AtomicUsize::new(0), watch::Sender::new(None));
        Arc::new(Self {
            inner,
            at,
            when,
            met,
            halted,
            held: Mutex::default(),
            late: Mutex::default(),
        })
    }

    /// One that never halts, and makes the append that another held before it makes its own first.
    pub(super) fn after(other: &Self) -> Arc<Self> {
        let next = Self::new(Arc::clone(&other.inner), usize::MAX, When::Before);
        *next.late.lock().unwrap() = other.held.lock().unwrap().take();
        next
    }

    pub(super) fn store(self: &Arc<Self>) -> Arc<dyn Store> {
        Over::store(self)
    }

    /// Waits until it has halted.
    pub(super) async fn halted(&self) {
        self.halted.subscribe().wait_for(Option::is_some).await.unwrap();
    }

    /// The run at whose append it has halted, if it has.
    pub(super) fn halted_at(&self) -> Option<RunId> {
        *self.halted.borrow()
    }

    /// The same of a run that has ended: whoever watched it may have seen its last append before it halted there.
    pub(super) async fn halted_by_the_end(&self) -> Option<RunId> {
        if self.met.load(Ordering::SeqCst) >= self.at {
            self.halted().await;
        }
        self.halted_at()
    }

    fn has_halted(&self) -> bool {
        self.halted_at().is_some()
    }

    async fn appended(&self, append: Append) -> Result<Appended, AppendError> {
        if self.has_halted() {
            return pending().await;
        }
        let StreamName::Run(run) = append.stream else { return self.inner.append(append).await };
        let late = self.late.lock().unwrap().take();
        if let Some(late) = late {
            self.inner.append(late).await.unwrap();
        }
        if self.met.fetch_add(1, Ordering::SeqCst) + 1 < self.at {
            return self.inner.append(append).await;
        }
        match self.when {
            When::Before => {}
            When::After => drop(self.inner.append(append).await.unwrap()),
            When::Late => *self.held.lock().unwrap() = Some(append),
        }
        self.halted.send_replace(Some(RunId(run)));
        pending().await
    }
}

impl Bent for Halting {
    fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(self.appended(append))
    }

    fn flush(&self, rows: Vec<DeltaRow>) -> BoxFuture<'_, Result<(), FlushError>> {
        if self.has_halted() { Box::pin(pending()) } else { self.inner.flush(rows) }
    }

    fn hold(
        &self,
        name: LeaseName,
        holder: Holder,
        ttl_ms: u64,
    ) -> BoxFuture<'_, Result<Hold, StoreError>> {
        if self.has_halted() { Box::pin(pending()) } else { self.inner.hold(name, holder, ttl_ms) }
    }
}

//! The MongoDB store under measurement, and its baselines: plain `insert_many`, and a transaction
//! per append that increments a counter.

use super::counter;
use crate::{Bare, Batches, BenchError, Ground, Sample, Trial};
use claviger::system::environment::Environment;
use claviger_projections::ports::{BoxFuture, Store};
use claviger_store::address::MongoUri;
use claviger_store::mongo::MongoConfig;
use claviger_store::mongo::MongoStore;
use claviger_store::mongo::raw::durable;
use claviger_store::mongo::raw::{COMMANDS, EVENTS, VIEWS};
use claviger_store::mongo::raw::{DbError, code};
use claviger_store::mongo::{Fault, Faults};
use futures::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::error::Error;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

/// The documents of one append: event, row of the view, command record.
pub(super) type Documents = [RawDocumentBuf; 3];

pub(super) const COLLECTIONS: [&str; 3] = [EVENTS, VIEWS, COMMANDS];

/// Temporary databases on a server.
pub struct MongoGround {
    uri: MongoUri,
    env: Environment,
}

impl fmt::Debug for MongoGround {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoGround").finish_non_exhaustive()
    }
}

impl MongoGround {
    /// Databases on the server of this address. A database name in the address is ignored.
    pub fn new(uri: MongoUri, env: Environment) -> Self {
        Self { uri, env }
    }

    fn config(&self, database: String) -> MongoConfig {
        let mut config = MongoConfig::new(self.uri.clone(), Arc::clone(&self.env.entropy));
        config.database = Some(database);
        config
    }
}

impl Ground for MongoGround {
    fn trial(&self, processes: usize) -> BoxFuture<'_, Result<Box<dyn Trial>, BenchError>> {
        Box::pin(async move {
            let name = format!("claviger_bench_{}", self.env.ids.next().as_simple());
            let (batches, conflicts) = (Arc::new(Batches::default()), Arc::new(AtomicU64::new(0)));
            let mut trial =
                MongoTrial { stores: Vec::new(), bare: None, counter: None, batches, conflicts };
            let made = self.open(&mut trial, &name, processes).await;
            match made {
                Ok(()) => Ok(Box::new(trial) as Box<dyn Trial>),
                Err(error) => {
                    Box::new(trial).remove().await?;
                    Err(error)
                }
            }
        })
    }
}

impl MongoGround {
    async fn open(
        &self,
        trial: &mut MongoTrial,
        name: &str,
        processes: usize,
    ) -> Result<(), BenchError> {
        for _ in 0..processes.max(1) {
            let mut config = self.config(name.to_owned());
            config.faults = Arc::new(Noted(Arc::clone(&trial.batches)));
            if processes > 1 {
                // The monitor copies every command: a single process has no conflicts to count.
                config.monitor = Some(count_conflicts(Arc::clone(&trial.conflicts)));
            }
            trial.stores.push(Arc::new(open(&config).await?));
        }
        trial.bare = Some(open(&self.config(format!("{name}_bare"))).await?);
        trial.counter = Some(open(&self.config(format!("{name}_counter"))).await?);
        Ok(())
    }
}

async fn open(config: &MongoConfig) -> Result<MongoStore, BenchError> {
    MongoStore::open(config).await.map_err(|error| BenchError::Open(Box::new(error)))
}

fn count_conflicts(conflicts: Arc<AtomicU64>) -> EventHandler<CommandEvent> {
    EventHandler::callback(move |event| {
        if let CommandEvent::Failed(failed) = event
            && DbError::is_write_conflict(&failed.failure)
        {
            conflicts.fetch_add(1, Ordering::Relaxed);
        }
    })
}

struct Noted(Arc<Batches>);

impl Faults for Noted {
    fn before_commit(&self, appends: usize) -> BoxFuture<'_, Option<Fault>> {
        self.0.note(appends);
        Box::pin(std::future::ready(None))
    }
}

struct MongoTrial {
    stores: Vec<Arc<MongoStore>>,
    /// Opened as a store, so that collections and indexes are the store's own; nothing is appended
    /// through it.
    bare: Option<MongoStore>,
    counter: Option<MongoStore>,
    batches: Arc<Batches>,
    conflicts: Arc<AtomicU64>,
}

impl MongoTrial {
    /// What the store wrote, in the order of the log.
    fn written(&self) -> impl Future<Output = Result<Vec<Documents>, BenchError>> + Send + use<> {
        let db = self.stores.first().map(|store| store.database().clone());
        async move {
            let db = db.ok_or(BenchError::Lost)?;
            TaskTracker::new()
                .spawn(async move { read(&db).await })
                .await
                .map_err(|_| BenchError::Lost)?
        }
    }
}

impl Trial for MongoTrial {
    fn stores(&self) -> Vec<Arc<dyn Store>> {
        self.stores.iter().map(|store| Arc::<MongoStore>::clone(store) as Arc<dyn Store>).collect()
    }

    fn batches(&self) -> Vec<usize> {
        self.batches.noted()
    }

    fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    fn bare(&self) -> BoxFuture<'_, Result<Bare, BenchError>> {
        Box::pin(async move {
            let (written, batches) = (self.written().await?, self.batches());
            let db =
                self.bare.as_ref().map(|store| store.database().clone()).ok_or(BenchError::Lost)?;
            // A task of its own: no future of the driver is dropped midway.
            let inserting =
                TaskTracker::new().spawn(async move { insert_bare(&db, written, &batches).await });
            inserting.await.map_err(|_| BenchError::Lost)?.map_err(|error| failed(&error))
        })
    }

    fn counter(
        &self,
        writers: usize,
        time: Duration,
    ) -> BoxFuture<'_, Result<Option<Sample>, BenchError>> {
        Box::pin(async move {
            let written = self.written().await?;
            let db = self
                .counter
                .as_ref()
                .map(|store| store.database().clone())
                .ok_or(BenchError::Lost)?;
            counter::run(&db, written, writers, time).await.map(Some)
        })
    }

    fn remove(self: Box<Self>) -> BoxFuture<'static, Result<(), BenchError>> {
        Box::pin(async move {
            let databases: Vec<Database> =
                self.stores.first().map(|store| store.database().clone()).into_iter().collect();
            let databases = databases
                .into_iter()
                .chain(self.bare.iter().chain(&self.counter).map(|store| store.database().clone()));
            let databases: Vec<Database> = databases.collect();
            for store in &self.stores {
                store.close().await;
            }
            for store in self.bare.iter().chain(&self.counter) {
                store.close().await;
            }
            let dropping = TaskTracker::new().spawn(async move {
                for db in databases {
                    db.drop().write_concern(durable()).await?;
                }
                Ok(())
            });
            dropping.await.map_err(|_| BenchError::Lost)?.map_err(|error: Error| failed(&error))
        })
    }
}

/// A driver's error, as a measurement reports it.
pub(super) fn failed(error: &Error) -> BenchError {
    BenchError::Baseline(format!("MongoDB code {}", code(error)))
}

async fn read(db: &Database) -> Result<Vec<Documents>, BenchError> {
    let all = async |collection: &str| -> Result<Vec<RawDocumentBuf>, BenchError> {
        let found = db
            .collection::<RawDocumentBuf>(collection)
            .find(doc! {})
            .await
            .map_err(|error| failed(&error))?;
        found.try_collect().await.map_err(|error| failed(&error))
    };
    let [events, views, commands] = COLLECTIONS;
    let (mut events, views, commands) =
        (all(events).await?, all(views).await?, all(commands).await?);
    let position = |document: &RawDocumentBuf| document.get_i64("position").unwrap_or_default();
    events.sort_by_key(position);
    let mut rows: HashMap<Vec<u8>, RawDocumentBuf> =
        views.into_iter().map(|row| (bytes(&row, "id"), row)).collect();
    let mut records: HashMap<i64, RawDocumentBuf> =
        commands.into_iter().map(|record| (position(&record), record)).collect();
    let mut written = Vec::with_capacity(events.len());
    for event in events {
        let (row, record) =
            (rows.remove(&bytes(&event, "subject")), records.remove(&position(&event)));
        let (Some(row), Some(record)) = (row, record) else {
            return Err(BenchError::Baseline("an event without its row or record".to_owned()));
        };
        written.push([event, row, record]);
    }
    Ok(written)
}

fn bytes(document: &RawDocumentBuf, field: &str) -> Vec<u8> {
    document.get_binary(field).map(|binary| binary.bytes.to_vec()).unwrap_or_default()
}

async fn insert_bare(
    db: &Database,
    written: Vec<Documents>,
    batches: &[usize],
) -> Result<Bare, Error> {
    let appends = written.len();
    let mut left = written.into_iter();
    let mut commands = Vec::new();
    // Assembled before the clock starts: only the server's and the driver's part is timed.
    for size in batches {
        let mut batch = [Vec::new(), Vec::new(), Vec::new()];
        for documents in left.by_ref().take(*size) {
            for (into, document) in batch.iter_mut().zip(documents) {
                into.push(document);
            }
        }
        commands.push(batch);
    }
    let collections = COLLECTIONS.map(|name| db.collection::<RawDocumentBuf>(name));
    let began = Instant::now();
    for batch in commands {
        for (collection, documents) in collections.iter().zip(batch) {
            if !documents.is_empty() {
                collection.insert_many(documents).write_concern(durable()).await?;
            }
        }
    }
    Ok(Bare { appends, took: began.elapsed() })
}

/// A document that a transaction may change before it is written.
pub(super) fn readable(document: &RawDocumentBuf) -> Result<Document, BenchError> {
    Document::try_from(document.clone())
        .map_err(|_| BenchError::Baseline("a document cannot be read back".to_owned()))
}

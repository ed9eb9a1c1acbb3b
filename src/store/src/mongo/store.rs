//! The store itself: opening, closing, and access to its batcher.

use super::boot::judge;
use super::calls::Calls;
use super::config::MongoConfig;
use super::error::{DbError, OpenError, code, open_error};
use super::gate::Gate;
use super::process::Process;
use super::watch::Watcher;
use super::write::{Batcher, BatcherParts, Task};
use super::{read, schema, seeds, session};
use claviger_projections::ports::{Append, AppendError, Appended, BoxFuture, Signer, StoreError};
use claviger_vault::Entropy;
use mongodb::bson::doc;
use mongodb::options::{ClientOptions, ReadConcern};
use mongodb::{Client, Database};
use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch as signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Maximum number of appends queued for the batcher; further callers wait for a slot.
const QUEUE: usize = 1024;
/// The database if the address names none.
const DATABASE: &str = "claviger";
/// How long to look for a server and connect to it. A caller waits no longer than this for a set
/// without a primary.
const PATIENCE: Duration = Duration::from_secs(5);
/// A query may read much: its limit is this many times that of a reply in a transaction.
const READ_PATIENCE: u32 = 3;
/// How long, in seconds, the transaction of a stopped process may hold the head if its session
/// cannot be ended.
const TRANSACTION_LIFETIME_S: i64 = 5;

/// The store on a replica set: any number of processes, one order. Implements all ports.
pub struct MongoStore {
    pub(super) db: Database,
    /// This process, as published to the others.
    pub(super) process: Arc<Process>,
    tasks: Mutex<Option<mpsc::UnboundedSender<Task>>>,
    places: Arc<Semaphore>,
    pub(super) position: signal::Receiver<u64>,
    entropy: Arc<dyn Entropy>,
    closing: CancellationToken,
    /// The tasks of this store, each of which ends.
    tracker: TaskTracker,
    /// Calls of the driver, which may not end.
    calls: Calls,
    pub(super) signer: Signer,
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore")
            .field("position", &*self.position.borrow())
            .finish_non_exhaustive()
    }
}

impl MongoStore {
    /// Opens the store: checks the deployment, creates what is missing.
    ///
    /// # Errors
    /// [`OpenError`] names the obstacle and what to do about it.
    ///
    /// Boxed here, as [`Self::close`] is, so that the driver is compiled into this crate only.
    pub fn open(config: &MongoConfig) -> BoxFuture<'_, Result<Self, OpenError>> {
        Box::pin(Self::start(config))
    }

    async fn start(config: &MongoConfig) -> Result<Self, OpenError> {
        let (tracker, calls) = (TaskTracker::new(), Calls::new(config.answer_within));
        let opening = config.clone();
        let opened = tracker.spawn(async move { Box::pin(connect(&opening)).await }).await;
        let (db, last) = opened.map_err(|_| OpenError::Unreachable { code: 0 })??;
        let failed = |error| open_error(db.name(), error);
        let session = db.client().start_session().await.map_err(|error| failed(error.into()))?;
        let gate = Arc::new(Gate::new(db.clone(), calls.clone(), Arc::clone(&config.reads)));
        let process = Process::new(
            (db.clone(), calls.clone()),
            Arc::clone(&gate),
            config.lease,
            config.entropy.as_ref(),
            session.id().clone(),
        );
        process.publish().await.map_err(failed)?;
        // Only after publishing: a process that appends something new sees this process, or this
        // process sees the requirement.
        if let Err(refused) = gate.check().await {
            process.leave().await;
            return Err(refused);
        }
        let process = Arc::new(process);
        let (tasks, queue) = mpsc::unbounded_channel();
        let (watched, position) = signal::channel(last);
        let closing = CancellationToken::new();
        let signer = Signer::default();
        let parts = BatcherParts {
            db: db.clone(),
            calls: calls.clone(),
            gate,
            process: Arc::clone(&process),
            tasks: queue,
            position: watched.clone(),
            entropy: Arc::clone(&config.entropy),
            asks_clock: config.asks_clock,
            faults: Arc::clone(&config.faults),
            closing: closing.clone(),
            signer: signer.clone(),
        };
        let appended = CancellationToken::new();
        let ends = appended.clone().drop_guard();
        tracker.spawn(async move {
            Batcher::new(parts, session).run().await;
            drop(ends);
        });
        let keeping = Arc::clone(&process);
        tracker.spawn(async move { keeping.keep(appended).await });
        let deaf = Notify::new();
        tracker.spawn(
            Watcher {
                db: db.clone(),
                calls: calls.clone(),
                watched,
                closing: closing.clone(),
                deaf,
            }
            .run(),
        );
        Ok(Self {
            db,
            process,
            tasks: Mutex::new(Some(tasks)),
            places: Arc::new(Semaphore::new(QUEUE)),
            position,
            entropy: Arc::clone(&config.entropy),
            closing,
            tracker,
            calls,
            signer,
        })
    }

    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Settles the queued appends, then ends all tasks and connections. Later calls get
    /// [`StoreError::Closed`].
    pub fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.places.close();
            self.stop();
            self.tracker.close();
            self.tracker.wait().await;
            self.calls.end().await;
        })
    }

    fn stop(&self) {
        drop(self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.closing.cancel();
    }

    /// Random: distinguishes the retry of a write from another write.
    pub(super) fn mark(&self) -> [u8; 16] {
        let mut mark = [0; 16];
        self.entropy.fill(&mut mark);
        mark
    }

    /// Queues an append and waits for its result. A queued append is executed even if its caller
    /// goes away.
    pub(super) async fn queue(&self, append: Append) -> Result<Appended, AppendError> {
        let place =
            Arc::clone(&self.places).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let task = Task::new(append, reply, place);
        let queued = match &*self.tasks.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(tasks) => tasks.send(task).is_ok(),
            None => false,
        };
        if !queued {
            return Err(StoreError::Closed.into());
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Queries the server in a task of its own: a caller that goes away never drops a driver's
    /// future midway.
    pub(super) fn ask<T: Send + 'static, F>(
        &self,
        question: impl FnOnce(Database) -> F,
    ) -> BoxFuture<'_, Result<T, StoreError>>
    where
        F: Future<Output = Result<T, DbError>> + Send + 'static,
    {
        if self.closing.is_cancelled() {
            return Box::pin(std::future::ready(Err(StoreError::Closed)));
        }
        let (calls, question) =
            (self.calls.with_patience(READ_PATIENCE), question(self.db.clone()));
        Box::pin(async move { calls.ask(question).await.map_err(StoreError::from) })
    }
}

impl Drop for MongoStore {
    /// Ends the tasks; queued appends are still settled as long as the runtime lives.
    fn drop(&mut self) {
        self.stop();
    }
}

/// Connects, checks, prepares; returns the database and the end of the log.
async fn connect(config: &MongoConfig) -> Result<(Database, u64), OpenError> {
    let mut uri = Cow::Borrowed(config.uri.expose());
    if seeds::is_by_name(&uri) {
        let entropy = config.entropy.as_ref();
        uri = Cow::Owned(seeds::resolved(&uri, &config.nameservers, entropy).await?);
    }
    if !uri.starts_with("mongodb://") {
        return Err(OpenError::Address);
    }
    let mut options = ClientOptions::parse(&*uri).await.map_err(|_| OpenError::Address)?;
    options.app_name.get_or_insert_with(|| "claviger".to_owned());
    options.server_selection_timeout.get_or_insert(PATIENCE);
    options.connect_timeout.get_or_insert(PATIENCE);
    // These override options in the address: everything here relies on them.
    options.write_concern = Some(session::durable());
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(session::primary());
    options.retry_writes = Some(true);
    options.retry_reads = Some(true);
    options.command_event_handler.clone_from(&config.monitor);
    let named = config.database.clone().or_else(|| options.default_database.clone());
    let name = named.unwrap_or_else(|| DATABASE.to_owned());
    let client = Client::with_options(options).map_err(|_| OpenError::Address)?;
    check(&client).await?;
    let db = client.database(&name);
    schema::prepare(&db).await?;
    let failed = |error| open_error(&name, error);
    let last = read::last_position(&db).await.map_err(failed)?;
    let head = read::head(&db).await.map_err(failed)?.0.size();
    // Read in this order, the head may have advanced in between, but never moved back.
    if head < last {
        let what = format!("the head is at position {head}, an event at {last}");
        return Err(OpenError::Damaged { database: name, what });
    }
    read::events_after(&db, head.saturating_sub(1), 1).await.map_err(failed)?;
    Ok((db, head))
}

/// Whether the deployment can give the store's guarantees.
async fn check(client: &Client) -> Result<(), OpenError> {
    let admin = client.database("admin");
    let hello = admin
        .run_command(doc! { "hello": 1 })
        .await
        .map_err(|error| OpenError::Unreachable { code: code(&error) })?;
    // Only an administrator's role may request it; the names in `hello` show nearly as much.
    let config = admin.run_command(doc! { "replSetGetConfig": 1 }).await.ok();
    judge(&hello, config.as_ref())?;
    let name = "transactionLifetimeLimitSeconds";
    let lifetime = admin.run_command(doc! { "getParameter": 1, name: 1 }).await.ok();
    if let Some(lifetime) = lifetime.and_then(|reply| super::boot::number(reply.get(name)))
        && lifetime > TRANSACTION_LIFETIME_S
    {
        tracing::warn!(
            lifetime_s = lifetime,
            "a process that is stopped inside its transaction blocks every writer for up to this long if its session cannot be ended: \
             set {name} to {TRANSACTION_LIFETIME_S}, as ops/compose.yaml does"
        );
    }
    Ok(())
}

//! The store itself: opening, closing, and access to its batcher.

use super::boot::judge;
use super::calls::Calls;
use super::config::MongoConfig;
use super::error::{DbError, OpenError, code, open_error};
use super::gate::Gate;
use super::looked::Looked;
use super::process::Process;
use super::watch::Watcher;
use super::write::{Batcher, BatcherParts, Task};
use crate::skipped::Skipped;
use claviger_projections::ports::{Append, AppendError, Appended, BoxFuture, Signer, StoreError};
use claviger_vault::Entropy;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch as signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Maximum number of appends queued for the batcher; further callers wait for a slot.
const QUEUE: usize = 1024;
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
    pub(super) skipped: Arc<Skipped>,
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
        Box::pin(async { Self::look(config).await?.open().await })
    }

    /// Looks at the database and changes nothing.
    ///
    /// # Errors
    /// [`OpenError`], if it could not be opened either.
    pub fn look(config: &MongoConfig) -> BoxFuture<'_, Result<Looked, OpenError>> {
        let looking = TaskTracker::new().spawn(Box::pin(Looked::at(config.clone())));
        Box::pin(async { looking.await.map_err(|_| OpenError::Unreachable { code: 0 })? })
    }

    pub(super) async fn start(looked: Looked) -> Result<Self, OpenError> {
        let (config, db, there) = looked.into_parts();
        let (tracker, calls) = (TaskTracker::new(), Calls::new(config.answer_within));
        let preparing = db.clone();
        let prepared = async move { Box::pin(Looked::prepare(&preparing, &there)).await };
        let opened = tracker.spawn(prepared).await;
        let last = opened.map_err(|_| OpenError::Unreachable { code: 0 })??;
        let failed = |error| open_error(db.name(), error);
        let session = db.client().start_session().await.map_err(|error| failed(error.into()))?;
        let lsid = session.id().clone();
        let (gate, process) = announce((&db, &calls), &config, lsid).await?;
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
            skipped: Arc::clone(&config.skipped),
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

/// Publishes this process, and refuses a database whose events it can't read.
async fn announce(
    (db, calls): (&Database, &Calls),
    config: &MongoConfig,
    lsid: Document,
) -> Result<(Arc<Gate>, Arc<Process>), OpenError> {
    let gate = Arc::new(Gate::new(db.clone(), calls.clone(), Arc::clone(&config.reads)));
    let process = Process::new(
        (db.clone(), calls.clone()),
        Arc::clone(&gate),
        config.lease,
        config.entropy.as_ref(),
        lsid,
    );
    process.publish().await.map_err(|error| open_error(db.name(), error))?;
    // Only after publishing: a process that appends something new sees this process, or this
    // process sees the requirement.
    if let Err(refused) = gate.check().await {
        process.leave().await;
        return Err(refused);
    }
    Ok((gate, Arc::new(process)))
}

/// Whether the deployment can give the store's guarantees.
pub(super) async fn check(client: &Client) -> Result<(), OpenError> {
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

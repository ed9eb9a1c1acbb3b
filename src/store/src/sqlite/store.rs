//! The store itself: opening, closing, and access to its writer and readers.

use super::config::SqliteConfig;
use super::connection::{DATABASE_FILE, open_reader, open_writer};
use super::error::OpenError;
use super::inline_reads::InlineReads;
use super::leases::Leases;
use super::lock::Lock;
use super::looked::Looked;
use super::query::DbError;
use super::read;
use super::readers::Readers;
use super::write::{
    Failure, Gate, Message, Refusing, Reply, RowTask, SecondClock, Task, TaskKind, Writer,
    WriterParts,
};
use crate::skipped::Skipped;
use claviger_domain::catalogue::Readable;
use claviger_projections::ports::{BoxFuture, Signer, StoreError};
use rusqlite::Connection;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use tokio::sync::{Semaphore, oneshot, watch};

/// Maximum number of tasks queued for the writer; further callers wait for a slot.
const QUEUE: usize = 1024;

/// The embedded store: one database file, one writer, a few readers. Implements all ports.
///
/// Closing blocks until the queued tasks are committed and the write-ahead log is empty; dropping
/// closes.
pub struct SqliteStore {
    tasks: Sender<Message>,
    places: Arc<Semaphore>,
    pub(super) readers: Readers,
    pub(super) position: watch::Receiver<u64>,
    pub(super) leases: Arc<Leases>,
    pub(super) skipped: Arc<Skipped>,
    failure: watch::Receiver<Option<Failure>>,
    pub(super) refusing: Arc<Refusing>,
    writer: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<Lock>>,
    pub(super) signer: Signer,
    dir: PathBuf,
    /// How many snapshots are open.
    snapshots: watch::Sender<usize>,
    /// Counts this one, if it is a snapshot.
    _pin: Option<Pin>,
}

/// An open snapshot, counted until it is dropped: the last field of the store, so that its readers
/// have ended by then.
struct Pin(watch::Sender<usize>);

impl Pin {
    fn on(snapshots: &watch::Sender<usize>) -> Self {
        snapshots.send_modify(|open| *open += 1);
        Self(snapshots.clone())
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("position", &*self.position.borrow())
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store in a data directory, creates it if it does not exist, and migrates an older
    /// format. Blocks on the disk.
    ///
    /// # Errors
    /// [`OpenError`] names the obstacle and what to do about it.
    pub fn open(config: &SqliteConfig) -> Result<Self, OpenError> {
        Self::look(config)?.open()
    }

    /// Looks at the store in a data directory and changes nothing.
    ///
    /// # Errors
    /// [`OpenError`], if it could not be opened either.
    pub fn look(config: &SqliteConfig) -> Result<Looked, OpenError> {
        Looked::at(config)
    }

    pub(super) fn over(config: &SqliteConfig, lock: Lock) -> Result<Self, OpenError> {
        let path = config.dir.join(DATABASE_FILE);
        let connection = open_writer(config)?;
        let end = read_end(&connection, &path)?;
        let mut gate = read_gate(&connection, &path, &config.reads)?;
        gate.clock = SecondClock(Arc::clone(&config.other_clock));
        let failed = |source| OpenError::from_io(&path, source);
        let open = || {
            (0..config.readers.clamp(1, 64))
                .map(|_| open_reader(&config.dir))
                .collect::<Result<Vec<_>, _>>()
        };
        let near =
            InlineReads::over(open()?).map_err(|error| OpenError::from_sqlite(&path, &error))?;
        let (tasks, messages) = channel();
        let (position_sender, position) = watch::channel(end.0.size());
        let (failure_sender, failure) = watch::channel(None);
        let (signer, refusing) = (Signer::default(), Arc::<Refusing>::default());
        let parts = WriterParts {
            connection,
            messages,
            faults: Arc::clone(&config.faults),
            position: position_sender,
            failure: failure_sender.clone(),
            refusing: Arc::clone(&refusing),
            signer: signer.clone(),
        };
        let writer = Writer::new(parts, end, gate);
        let thread = Builder::new()
            .name("claviger-writer".to_owned())
            .spawn(move || supervise(writer, &failure_sender));
        Ok(Self {
            tasks,
            places: Arc::new(Semaphore::new(QUEUE)),
            readers: Readers::start(open()?, near).map_err(failed)?,
            position,
            leases: Arc::default(),
            skipped: Arc::clone(&config.skipped),
            failure,
            refusing,
            writer: Mutex::new(Some(thread.map_err(failed)?)),
            lock: Mutex::new(Some(lock)),
            signer,
            dir: config.dir.clone(),
            snapshots: watch::Sender::default(),
            _pin: None,
        })
    }

    /// The store as it is at this moment, for one who reads much of it and must see one state. It
    /// can't be written: every such call gets [`StoreError::Closed`]. While it is open, the
    /// write-ahead log only grows, and scrubs wait. Blocks on the disk.
    ///
    /// # Errors
    /// [`OpenError`] names the obstacle and what to do about it.
    pub fn snapshot(&self) -> Result<Self, OpenError> {
        let path = self.dir.join(DATABASE_FILE);
        // Counted first: a scrub that comes later waits.
        let pin = Pin::on(&self.snapshots);
        let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(&path, &error);
        let connection = open_reader(&self.dir)?;
        // A transaction sees the state at its first read.
        connection.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema").map_err(sqlite)?;
        let near = InlineReads::over(Vec::new()).map_err(sqlite)?;
        let readers = Readers::start(vec![connection], near)
            .map_err(|source| OpenError::from_io(&path, source))?
            .pinned();
        let places = Arc::new(Semaphore::new(0));
        places.close();
        Ok(Self {
            tasks: channel().0,
            places,
            readers,
            position: self.position.clone(),
            leases: Arc::default(),
            failure: self.failure.clone(),
            refusing: Arc::clone(&self.refusing),
            writer: Mutex::new(None),
            lock: Mutex::new(None),
            signer: Signer::default(),
            dir: self.dir.clone(),
            snapshots: watch::Sender::default(),
            skipped: Arc::clone(&self.skipped),
            _pin: Some(pin),
        })
    }

    /// Holds a failure once the store can no longer write: the process should then stop.
    pub fn failure(&self) -> watch::Receiver<Option<Failure>> {
        self.failure.clone()
    }

    /// Commits the queued tasks, empties the write-ahead log, ends all threads, releases the data
    /// directory. Blocks; a second call does nothing. Later calls get [`StoreError::Closed`].
    pub fn close(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Readers first: an active reader would keep the log from being truncated.
        self.readers.close();
        if let Some(writer) = writer {
            drop(self.tasks.send(Message::Close));
            if writer.join().is_err() {
                tracing::error!("the writer thread panicked");
            }
        }
        self.places.close();
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Queues a task and waits for its result. A queued task is executed even if its caller goes
    /// away.
    pub(super) async fn ask<T>(
        &self,
        task: impl FnOnce(Reply<T>) -> TaskKind,
    ) -> Result<T, StoreError> {
        let place =
            Arc::clone(&self.places).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let task = Task::new(task(reply), place);
        self.tasks.send(Message::Task(Box::new(task))).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)
    }

    /// Has the writer change rows, and returns how many were changed.
    pub(super) fn change(&self, task: RowTask) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { self.ask(|reply| TaskKind::Rows { task, reply }).await? })
    }

    /// Has the writer truncate the write-ahead log; `false` if a reader was in the way. While a
    /// snapshot is open it would be, with the writer waiting for it: so this waits first.
    pub(super) fn truncate(&self) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut snapshots = self.snapshots.subscribe();
            drop(snapshots.wait_for(|open| *open == 0).await);
            let (reply, answer) = oneshot::channel();
            self.tasks.send(Message::Scrub(reply)).map_err(|_| StoreError::Closed)?;
            answer.await.map_err(|_| StoreError::Closed)?
        })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// The head, which must agree with the last event: a file that was put together from two parts is
/// refused before it is written to, and so is one whose head has another time. The next event would
/// take that time over, and sign it.
fn read_end(
    connection: &Connection,
    path: &Path,
) -> Result<(claviger_proof::Frontier, claviger_domain::timestamp::Timestamp), OpenError> {
    let damaged = |error| damaged(path, error);
    let head = read::head(connection).map_err(damaged)?;
    let last = read::last_position(connection).map_err(damaged)?;
    let what = if head.0.size() != last {
        format!("the head is at position {}, the last event at {last}", head.0.size())
    } else if read::time_of(connection, last).map_err(damaged)? != head.1 {
        format!("the head has another time than the last event, at position {last}")
    } else {
        return Ok(head);
    };
    Err(OpenError::Damaged { path: path.to_owned(), what })
}

/// What the file requires of its readers. A file that requires more than this program reads is
/// refused.
pub(super) fn read_gate(
    connection: &Connection,
    path: &Path,
    reads: &Arc<Readable>,
) -> Result<Gate, OpenError> {
    let required = read::required(connection).map_err(|error| damaged(path, error))?;
    if let Some((requirement, program)) = required.iter().find(|(name, _)| !reads.has(name)) {
        return Err(OpenError::Requires {
            path: path.to_owned(),
            requirement: requirement.clone(),
            program: program.clone(),
        });
    }
    let required = required.into_iter().map(|(requirement, _)| requirement).collect();
    Ok(Gate { reads: Arc::clone(reads), required: Arc::new(required), ..Gate::default() })
}

pub(super) fn damaged(path: &Path, error: DbError) -> OpenError {
    match error {
        DbError::Sqlite(error) => OpenError::from_sqlite(path, &error),
        DbError::Store(error) => {
            OpenError::Damaged { path: path.to_owned(), what: error.to_string() }
        }
    }
}

/// Runs the writer; one that panics has failed like one whose disk did.
fn supervise(writer: Writer, failure: &watch::Sender<Option<Failure>>) {
    if catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
        tracing::error!("the writer thread panicked: the store stops writing");
        failure.send_replace(Some(Failure { code: 0 }));
    }
}

//! Reading: on the caller's thread where that is quick, else on a few threads, each with a
//! connection of its own, which take queries from one queue. Threads rather than the runtime's
//! blocking pool, because a connection with its prepared statements stays on its thread.

use super::inline_reads::InlineReads;
use super::query::DbError;
use claviger_projections::ports::{BoxFuture, StoreError};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::coop::consume_budget;

/// Maximum number of queued queries; further callers wait for a slot.
const QUEUE: usize = 1024;

type Question = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Default)]
struct Waiting {
    questions: VecDeque<Question>,
    is_closed: bool,
}

/// One query wakes one thread. A channel behind a lock would wake two: the thread that takes a
/// query hands the lock to the next waiting thread.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

impl Queue {
    fn push(&self, question: Question) -> Result<(), StoreError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_closed {
            return Err(StoreError::Closed);
        }
        waiting.questions.push_back(question);
        drop(waiting);
        self.more.notify_one();
        Ok(())
    }

    /// Waits for a query; `None` once the queue is closed and empty.
    fn next(&self) -> Option<Question> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(question) = waiting.questions.pop_front() {
                return Some(question);
            }
            if waiting.is_closed {
                return None;
            }
            waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.more.notify_all();
    }
}

#[expect(missing_debug_implementations, reason = "threads and queues")]
pub struct Readers {
    near: InlineReads,
    queue: Arc<Queue>,
    places: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// One transaction holds all queries, so that they see one state of the store.
    is_pinned: bool,
}

impl Readers {
    /// Starts one thread per connection; the connections of `near` are used on the callers'
    /// threads.
    pub fn start(connections: Vec<Connection>, near: InlineReads) -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let start = |connection| {
            let queue = Arc::clone(&queue);
            Builder::new()
                .name("claviger-reader".to_owned())
                .spawn(move || serve(&connection, &queue))
        };
        let threads = connections.into_iter().map(start).collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            near,
            queue,
            places: Arc::new(Semaphore::new(QUEUE)),
            threads: Mutex::new(threads),
            is_pinned: false,
        })
    }

    /// The connections are in a transaction already: queries don't end it, and see its state.
    pub(super) fn pinned(self) -> Self {
        Self { is_pinned: true, ..self }
    }

    /// Runs a query inside one read transaction, which ends with the query: no reader stays in the
    /// way of a checkpoint.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl Fn(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        Box::pin(async move {
            // Makes a caller that reads in a loop yield to others.
            consume_budget().await;
            match self.near.ask(&question) {
                Some(answer) => answer,
                None => self.ask_thread(question).await,
            }
        })
    }

    /// The same for a query of a single statement, which needs no transaction around it.
    pub fn look<T: Send + 'static>(
        &self,
        question: impl Fn(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        Box::pin(async move {
            consume_budget().await;
            match self.near.look(&question) {
                Some(answer) => answer,
                None => self.ask_thread(question).await,
            }
        })
    }

    async fn ask_thread<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place =
            Arc::clone(&self.places).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let is_pinned = self.is_pinned;
        let ask = move |connection: &Connection| {
            let _place = place;
            // A query is skipped if its caller has gone.
            if !reply.is_closed() {
                let answer = if is_pinned {
                    in_the_pin(connection, question)
                } else {
                    in_transaction(connection, question)
                };
                drop(reply.send(answer.map_err(StoreError::from)));
            }
        };
        self.queue.push(Box::new(ask))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Completes the queued queries, and ends the threads.
    pub fn close(&self) {
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        self.queue.close();
        self.near.close();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a reader thread panicked");
            }
        }
        self.places.close();
    }
}

/// Runs a query inside one transaction, which ends with the query.
pub(super) fn in_transaction<T>(
    connection: &Connection,
    question: impl FnOnce(&Connection) -> Result<T, DbError>,
) -> Result<T, DbError> {
    // Cached statements: these two would otherwise be parsed for every query.
    let run = |sql| connection.prepare_cached(sql).and_then(|mut statement| statement.execute(()));
    run("BEGIN")?;
    let answer = question(connection);
    // Nothing was written, so a rollback ends it as well as a commit. After some errors SQLite has
    // already ended it.
    drop(run("ROLLBACK"));
    answer
}

/// Runs a query inside the transaction that was begun for all. Some errors end it, and what would
/// be read after that is another state.
fn in_the_pin<T>(
    connection: &Connection,
    question: impl FnOnce(&Connection) -> Result<T, DbError>,
) -> Result<T, DbError> {
    if connection.is_autocommit() {
        let ended = "an error ended the snapshot: see the log, then try again";
        return Err(StoreError::Unavailable(ended.to_owned()).into());
    }
    question(connection)
}

fn serve(connection: &Connection, queue: &Queue) {
    while let Some(question) = queue.next() {
        question(connection);
    }
}

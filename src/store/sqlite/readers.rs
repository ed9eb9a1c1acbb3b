//! Reading: a few threads, each with a connection of its own, take questions from one queue. Threads rather than the runtime's
//! blocking pool, because a connection with its prepared statements stays where it is.

use super::query::DbError;
use claviger_projections::ports::{BoxFuture, StoreError};
use rusqlite::{Connection, Transaction};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use tokio::sync::{Semaphore, oneshot};

/// Questions that may wait; who asks more waits for a place.
const QUEUE: usize = 1024;

type Question = Box<dyn FnOnce(&mut Connection) + Send>;

enum Message {
    Question(Question),
    Close,
}

/// The readers.
pub(super) struct Readers {
    questions: Sender<Message>,
    places: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    /// Starts one thread per connection.
    pub(super) fn start(connections: Vec<Connection>) -> io::Result<Self> {
        let (questions, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let start = |connection| {
            let queue = Arc::clone(&queue);
            Builder::new().name("claviger-reader".to_owned()).spawn(move || serve(connection, &queue))
        };
        let threads = connections.into_iter().map(start).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { questions, places: Arc::new(Semaphore::new(QUEUE)), threads: Mutex::new(threads) })
    }

    /// Asks inside one read transaction, which ends with the question: no reader stays in the way of a checkpoint.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Transaction<'_>) -> Result<T, DbError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        Box::pin(async move {
            let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| StoreError::Closed)?;
            let (reply, answer) = oneshot::channel();
            let ask = move |connection: &mut Connection| {
                let _place = place;
                // Whoever asked may have gone: a read nobody waits for isn't made.
                if !reply.is_closed() {
                    drop(reply.send(in_transaction(connection, question)));
                }
            };
            self.questions.send(Message::Question(Box::new(ask))).map_err(|_| StoreError::Closed)?;
            answer.await.map_err(|_| StoreError::Closed)?
        })
    }

    /// Answers what was asked before, and ends the threads.
    pub(super) fn close(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for _ in &threads {
            drop(self.questions.send(Message::Close));
        }
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a reader's thread had panicked");
            }
        }
        self.places.close();
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    question: impl FnOnce(&Transaction<'_>) -> Result<T, DbError>,
) -> Result<T, StoreError> {
    let transaction = connection.transaction().map_err(DbError::from)?;
    question(&transaction).map_err(StoreError::from)
}

fn serve(mut connection: Connection, queue: &Mutex<Receiver<Message>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(Message::Question(question)) => question(&mut connection),
            Ok(Message::Close) | Err(_) => return,
        }
    }
}

//! The task that flushes text to the store.

use super::book::{Book, Flight, FlushFailure, FlushListener, RunOwner};
use crate::ports::{BoxFuture, Deltas, FlushError, StoreError};
use crate::run_feed::DeltaItem;
use claviger_domain::id::RunId;
use claviger_domain::timestamp::Timestamp;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Maximum bytes of text that wait to become durable, over all runs. A single longer piece counts
/// as this many.
const ROOM: u32 = 16 << 20;

enum Order {
    Begin(RunOwner),
    Write(RunId, DeltaItem, OwnedSemaphorePermit),
    Close(RunId, oneshot::Sender<Result<u64, FlushFailure>>),
    Open(RunId, u64),
    End(RunId),
}

/// The flusher's dependencies. Time and waiting come from outside.
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct FlusherParts {
    /// The store of the rows.
    pub store: Arc<dyn Deltas>,
    /// Notified of every row that becomes durable.
    pub listener: Arc<dyn FlushListener>,
    /// The current time.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Waits before the n-th repeat, from 1, of a flush with an unknown outcome.
    pub pause: Arc<dyn Fn(u32) -> BoxFuture<'static, ()> + Send + Sync>,
}

/// The handle of the flusher. Requests are processed in order.
#[derive(Clone, Debug)]
pub struct FlushHandle {
    orders: mpsc::UnboundedSender<Order>,
    room: Arc<Semaphore>,
}

impl FlushHandle {
    /// From now on this process owns the run, whose last event is the claim.
    pub fn begin(&self, run: RunOwner) {
        self.send(Order::Begin(run));
    }

    /// Adds text. The listener is notified when it is durable. Waits while more text than the
    /// memory bound is waiting to become durable, so that a store that does not answer slows down
    /// the writers.
    pub async fn write(&self, run: RunId, item: DeltaItem) {
        let bytes = u32::try_from(item.text.len()).unwrap_or(u32::MAX).clamp(1, ROOM);
        // The semaphore is never closed.
        if let Ok(permit) = Arc::clone(&self.room).acquire_many_owned(bytes).await {
            self.send(Order::Write(run, item, permit));
        }
    }

    /// Closes a run's gate: makes everything written before durable, and returns the number of rows
    /// since the previous event.
    ///
    /// # Errors
    /// [`FlushFailure`]: the caller must not append then.
    pub async fn close(&self, run: RunId) -> Result<u64, FlushFailure> {
        let (reply, answer) = oneshot::channel();
        self.send(Order::Close(run, reply));
        answer.await.map_err(|_| FlushFailure::Store)?
    }

    /// Opens the gate again, with the version of the run's last event: that of the append, or the
    /// old one if nothing was appended.
    pub fn open(&self, run: RunId, v: u64) {
        self.send(Order::Open(run, v));
    }

    /// The run has ended, or another process owns it. Text that was not flushed is dropped.
    pub fn end(&self, run: RunId) {
        self.send(Order::End(run));
    }

    fn send(&self, order: Order) {
        // If the flusher has ended, dropping the order closes the caller's reply channel.
        drop(self.orders.send(order));
    }
}

/// The task's state.
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct Flusher {
    parts: FlusherParts,
    orders: mpsc::UnboundedReceiver<Order>,
    book: Book,
}

impl Flusher {
    /// A flusher and its handle.
    pub fn new(parts: FlusherParts) -> (Self, FlushHandle) {
        let (sender, orders) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(usize::try_from(ROOM).unwrap_or(usize::MAX)));
        (Self { parts, orders, book: Book::default() }, FlushHandle { orders: sender, room })
    }

    /// Runs until every handle is dropped and everything is flushed.
    pub async fn run(mut self) {
        while let Some(order) = self.orders.recv().await {
            self.note(order);
            loop {
                while let Ok(order) = self.orders.try_recv() {
                    self.note(order);
                }
                let flight = self.book.take((self.parts.now)());
                let is_idle = flight.is_none();
                if let Some(flight) = flight {
                    self.flush(flight).await;
                }
                self.book.answer();
                for (run, failure) in self.book.failures() {
                    self.parts.listener.failed(run, failure);
                }
                if is_idle {
                    break;
                }
            }
        }
    }

    fn note(&mut self, order: Order) {
        match order {
            Order::Begin(run) => self.book.begin(run),
            Order::Write(run, item, room) => self.book.write(run, item, room),
            Order::Close(run, reply) => self.book.close(run, reply),
            Order::Open(run, v) => self.book.open(run, v),
            Order::End(run) => self.book.end(run),
        }
    }

    /// Flushes the same bytes until the outcome is known. All other flushes wait: a store that does
    /// not answer one would not answer another.
    async fn flush(&mut self, flight: Flight) {
        for tries in 1.. {
            let taken = match self.parts.store.flush(flight.rows.clone()).await {
                Ok(()) => Vec::new(),
                Err(FlushError::Taken(places)) => places,
                Err(FlushError::Store(StoreError::Unavailable(_))) => {
                    (self.parts.pause)(tries).await;
                    continue;
                }
                Err(FlushError::Store(
                    StoreError::Closed | StoreError::Corrupt(_) | StoreError::Gap { .. },
                )) => {
                    return self.book.refused(&flight);
                }
            };
            for flushed in self.book.landed(flight, &taken) {
                self.parts.listener.flushed(flushed);
            }
            return;
        }
    }
}

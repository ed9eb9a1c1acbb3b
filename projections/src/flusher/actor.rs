//! The task that flushes.

use super::book::{Book, Flight, FlushFailure, FlushListener, RunOwner};
use crate::ports::{BoxFuture, Deltas, FlushError, StoreError};
use crate::run_feed::DeltaItem;
use claviger_domain::id::RunId;
use claviger_domain::timestamp::Timestamp;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Most bytes of text that wait to be durable, of all runs together; one longer piece counts as so many.
const ROOM: u32 = 16 << 20;

enum Order {
    Begin(RunOwner),
    Write(RunId, DeltaItem, OwnedSemaphorePermit),
    Close(RunId, oneshot::Sender<Result<u64, FlushFailure>>),
    Open(RunId, u64),
    End(RunId),
}

/// What a flusher is made of. Time and waiting come from outside.
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct FlusherParts {
    /// Where rows go.
    pub store: Arc<dyn Deltas>,
    /// Told of what became durable.
    pub listener: Arc<dyn FlushListener>,
    /// Tells the time.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Waits before a flush of unknown outcome is repeated for the n-th time, from 1.
    pub pause: Arc<dyn Fn(u32) -> BoxFuture<'static, ()> + Send + Sync>,
}

/// The way to the flusher. What is asked in order is done in order.
#[derive(Clone, Debug)]
pub struct FlushHandle {
    orders: mpsc::UnboundedSender<Order>,
    room: Arc<Semaphore>,
}

impl FlushHandle {
    /// This process owns a run from now on; its last event is the claim.
    pub fn begin(&self, run: RunOwner) {
        self.send(Order::Begin(run));
    }

    /// More text. It is durable when the listener is told so. Waits while more text than memory is meant for waits to be durable: a store
    /// that doesn't answer slows down whoever writes.
    pub async fn write(&self, run: RunId, item: DeltaItem) {
        let bytes = u32::try_from(item.text.len()).unwrap_or(u32::MAX).clamp(1, ROOM);
        // Nobody closes it.
        if let Ok(permit) = Arc::clone(&self.room).acquire_many_owned(bytes).await {
            self.send(Order::Write(run, item, permit));
        }
    }

    /// Closes a run's gate: everything written before is made durable; how many rows there are since the event before.
    ///
    /// # Errors
    /// [`FlushFailure`]: nothing is to be appended then.
    pub async fn close(&self, run: RunId) -> Result<u64, FlushFailure> {
        let (reply, answer) = oneshot::channel();
        self.send(Order::Close(run, reply));
        answer.await.map_err(|_| FlushFailure::Store)?
    }

    /// Opens it again, with the version of the run's last event: the append's, or the old one if nothing was appended.
    pub fn open(&self, run: RunId, v: u64) {
        self.send(Order::Open(run, v));
    }

    /// The run has ended, or is another's. What wasn't flushed is dropped.
    pub fn end(&self, run: RunId) {
        self.send(Order::End(run));
    }

    fn send(&self, order: Order) {
        // A flusher that has ended answers by closing what waits for it.
        drop(self.orders.send(order));
    }
}

/// The flusher.
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct Flusher {
    parts: FlusherParts,
    orders: mpsc::UnboundedReceiver<Order>,
    book: Book,
}

impl Flusher {
    /// A flusher and the way to it.
    pub fn new(parts: FlusherParts) -> (Self, FlushHandle) {
        let (sender, orders) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(usize::try_from(ROOM).unwrap_or(usize::MAX)));
        (Self { parts, orders, book: Book::default() }, FlushHandle { orders: sender, room })
    }

    /// Works until nobody can ask any more and everything is flushed.
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

    /// Flushes the same bytes until it is known what became of them. Everybody else waits: a store that doesn't answer one flush would
    /// not answer another.
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

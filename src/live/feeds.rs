//! The event feeds: hints from the hub, with the store behind them.

use super::EventHub;
use crate::limits::{Held, Memory, NoRoom, Payer};
use crate::reads::{StoreReads, fitting, shown};
use crate::system::failure::store_failure;
use claviger_application::{Answer, EventFeed, EventView, Feeds, Scope};

use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_projections::feed::{Batch, Driver, Source, Topic, follow};
use claviger_projections::ports::{BoxFuture, Direction, HistoryFilter, StoredEvent};
use futures::StreamExt;
use futures::stream::TryStreamExt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Events of a read, at first and at most. Their sizes decide how many the next one asks for.
const BATCH: (usize, usize) = (8, 32);

/// Bytes of events that a slow reader holds in memory; one may be larger.
const HELD: usize = 64 * 1024;

/// Bytes of an event besides its content.
const EVENT: usize = 1024;

/// The shortest and the longest pause between reads while the store is unavailable.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct LiveFeeds {
    /// The log, and what opens its events.
    pub reads: Arc<StoreReads>,
    /// Reads the log and opens its events.
    pub hub: Arc<EventHub>,
    /// Holds events that wait for a slow reader.
    pub memory: Arc<Memory>,
}

impl Feeds for LiveFeeds {
    fn events(&self, reader: UserId, scope: Scope, after: Option<u64>) -> Answer<'_, EventFeed> {
        Box::pin(async move {
            let topic = match scope {
                Scope::Own(user) => Topic::Owner(user),
                Scope::All => Topic::All,
            };
            // Registered before the head is read, so that the hub reports what is committed in
            // between.
            let listener = self.hub.register(topic);
            let head = self.reads.head_position().await?;
            let (start, driver) = match after {
                Some(after) if after > head => return Err(beyond()),
                Some(after) => (after, Driver::after(after)),
                None => (head, Driver::from_now(head)),
            };
            let source = FromStore {
                reads: Arc::clone(&self.reads),
                scope,
                limit: AtomicUsize::new(BATCH.0),
                held: Mutex::new(self.memory.hold(Payer::User(reader))),
            };
            let events = follow(source, driver, listener);
            Ok(EventFeed { start, events: events.map_ok(|(_, event)| event).boxed() })
        })
    }
}

fn beyond() -> Failure {
    let message = "the cursor's event does not exist on this server: use a cursor from this server, or \
                   leave it out";
    Failure::new(ErrorCode::CursorInvalid, message)
}

struct FromStore {
    reads: Arc<StoreReads>,
    scope: Scope,
    /// Events that the next read asks for.
    limit: AtomicUsize,
    held: Mutex<Held>,
}

impl Source<Arc<EventView>> for FromStore {
    fn read(&self, after: u64) -> BoxFuture<'_, Result<Batch<u64, Arc<EventView>>, Failure>> {
        Box::pin(async move {
            let mut pause = PAUSE.0;
            loop {
                match self.once(after).await {
                    Err(failure) if failure.code == ErrorCode::StoreUnavailable => {
                        tokio::time::sleep(pause).await;
                    }
                    answered => return answered,
                }
                pause = (pause * 2).min(PAUSE.1);
            }
        })
    }

    fn drained(&self) {
        // To hold fewer bytes never fails.
        let _ = self.hold(0);
    }
}

fn bytes_of(event: &StoredEvent) -> usize {
    EVENT + event.facts.len() + event.content.iter().map(Vec::len).sum::<usize>()
}

impl FromStore {
    fn hold(&self, bytes: usize) -> Result<(), NoRoom> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).resize(bytes)
    }

    /// Keeps the events that a slow reader may hold. Returns whether more follow.
    fn keep(&self, stored: &mut Vec<StoredEvent>, limit: usize) -> Result<bool, Failure> {
        let (found, mut bytes) = (stored.len(), 0);
        self.limit.store(fitting(found, stored.iter().map(bytes_of).sum(), BATCH.1), Relaxed);
        let fits = |event: &&StoredEvent| {
            let is_first = bytes == 0;
            bytes += bytes_of(event);
            is_first || bytes <= HELD
        };
        let kept = stored.iter().take_while(fits).count();
        stored.truncate(kept);
        self.hold(stored.iter().map(bytes_of).sum()).map_err(NoRoom::failure)?;
        Ok(kept < found || found == limit)
    }

    async fn once(&self, after: u64) -> Result<Batch<u64, Arc<EventView>>, Failure> {
        // The head first: the later read sees at least as much, so a short batch is complete up to
        // the head.
        let head = self.reads.head_position().await?;
        let (store, limit) = (&self.reads.store, self.limit.load(Relaxed));
        let (events, more) = match self.scope {
            Scope::Own(user) => {
                let filter = HistoryFilter { above: Some(after), ..HistoryFilter::default() };
                let mut stored = store
                    .history(user, filter, Direction::Forward, limit)
                    .await
                    .map_err(|error| store_failure(&error))?;
                let more = self.keep(&mut stored, limit)?;
                (self.reads.open_events(user, &stored).await?, more)
            }
            Scope::All => {
                let mut stored =
                    store.read(after, limit).await.map_err(|error| store_failure(&error))?;
                let more = self.keep(&mut stored, limit)?;
                (stored.iter().map(stripped).collect::<Result<Vec<_>, _>>()?, more)
            }
        };
        let last = events.last().map_or(after, |event| event.envelope.position);
        let covered = if more { last } else { last.max(head) };
        let items =
            events.into_iter().map(|event| (event.envelope.position, Arc::new(event))).collect();
        Ok(Batch { items, covered, more })
    }
}

/// The part of an event that every permitted reader may see.
pub(super) fn stripped(event: &StoredEvent) -> Result<EventView, Failure> {
    shown(event, None)
}

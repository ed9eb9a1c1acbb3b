//! The event feeds: hints from the hub, with the store behind them.

use super::EventHub;
use crate::reads::StoreReads;
use crate::reads::shown;
use crate::system::failure::store_failure;
use claviger_application::{Answer, EventFeed, EventView, Feeds, Scope};

use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_projections::feed::{Batch, Driver, Source, Topic, follow};
use claviger_projections::ports::{BoxFuture, Direction, HistoryFilter, StoredEvent};
use futures::StreamExt;
use futures::stream::TryStreamExt;
use std::sync::Arc;
use std::time::Duration;

/// Events read at a time: what a slow reader holds in memory.
const BATCH: usize = 32;

/// The shortest and the longest pause between reads while the store is unavailable.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct LiveFeeds {
    /// The log, and what opens its events.
    pub reads: Arc<StoreReads>,
    /// Reads the log and opens its events.
    pub hub: Arc<EventHub>,
}

impl Feeds for LiveFeeds {
    fn events(&self, scope: Scope, after: Option<u64>) -> Answer<'_, EventFeed> {
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
            let events =
                follow(FromStore { reads: Arc::clone(&self.reads), scope }, driver, listener);
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
}

impl FromStore {
    async fn once(&self, after: u64) -> Result<Batch<u64, Arc<EventView>>, Failure> {
        // The head first: the later read sees at least as much, so a short batch is complete up to
        // the head.
        let head = self.reads.head_position().await?;
        let store = &self.reads.store;
        let (events, found) = match self.scope {
            Scope::Own(user) => {
                let filter = HistoryFilter { above: Some(after), ..HistoryFilter::default() };
                let stored = store
                    .history(user, filter, Direction::Forward, BATCH)
                    .await
                    .map_err(|error| store_failure(&error))?;
                (self.reads.open_events(user, &stored).await?, stored.len())
            }
            Scope::All => {
                let stored =
                    store.read(after, BATCH).await.map_err(|error| store_failure(&error))?;
                (stored.iter().map(stripped).collect::<Result<Vec<_>, _>>()?, stored.len())
            }
        };
        let last = events.last().map_or(after, |event| event.envelope.position);
        let more = found == BATCH;
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

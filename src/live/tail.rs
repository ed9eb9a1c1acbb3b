//! The one reader of the log in a process: it reads each new event once, opens it once, and tells those whom it concerns.

use super::EventHub;
use super::feeds::stripped;
use crate::reads::StoreReads;
use claviger_application::EventView;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::stream::StreamName;
use claviger_projections::feed::Topic;
use claviger_projections::ports::StoredEvent;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Events read at a time.
const BATCH: usize = 256;

/// Bytes of one topic's events that are worth carrying to whoever listens; of more they are only told.
const MOST_CARRIED: usize = 64 * 1024;

/// The wait after a read that failed.
const PAUSE: Duration = Duration::from_millis(250);

/// Reads the log for the hub.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Tail {
    /// The log, and what opens its events.
    pub reads: Arc<StoreReads>,
    /// Whom to tell.
    pub hub: Arc<EventHub>,
}

impl Tail {
    /// Reads what is new whenever there is something new, until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut commits = self.reads.store.watch();
        loop {
            // Before the read: what is committed during it wakes us again.
            commits.borrow_and_update();
            let pause = match self.catch_up().await {
                Ok(()) => None,
                Err(error) => {
                    tracing::warn!(%error, "live feeds wait: the log can't be read now");
                    Some(PAUSE)
                }
            };
            let next = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    // A store that is gone tells nothing any more.
                    None if commits.changed().await.is_err() => std::future::pending().await,
                    None => {}
                }
            };
            if stop.run_until_cancelled(next).await.is_none() {
                return;
            }
        }
    }

    /// Reads up to the end of the log.
    async fn catch_up(&self) -> Result<(), claviger_projections::ports::StoreError> {
        loop {
            let events = self.reads.store.read(self.hub.position(), BATCH).await?;
            let Some(last) = events.last() else { return Ok(()) };
            let to = last.envelope.position;
            self.hub.publish(to, self.opened(&events).await);
            if events.len() < BATCH {
                return Ok(());
            }
        }
    }

    /// What to tell of these events: to each topic that somebody listens to its own, opened.
    async fn opened(
        &self,
        events: &[StoredEvent],
    ) -> Vec<(Topic, Option<Vec<(u64, Arc<EventView>)>>)> {
        let mut by_owner: HashMap<UserId, Vec<StoredEvent>> = HashMap::new();
        for event in events {
            if let Some(owner) = event.envelope.owner {
                by_owner.entry(owner).or_default().push(event.clone());
            }
        }
        let runs: HashSet<Topic> = events.iter().filter_map(run_of).collect();
        let topics: HashSet<Topic> =
            by_owner.keys().map(|owner| Topic::Owner(*owner)).chain([Topic::All]).collect();
        let listened = self.hub.listened(topics);
        let mut told = Vec::with_capacity(by_owner.len() + runs.len() + 1);
        told.extend(runs.into_iter().map(|run| (run, None)));
        for (owner, events) in by_owner {
            let topic = Topic::Owner(owner);
            let items = if listened.contains(&topic) && carried(&events) {
                items(self.reads.open_events(owner, &events).await)
            } else {
                None
            };
            told.push((topic, items));
        }
        let all = listened.contains(&Topic::All) && carried(events);
        told.push((
            Topic::All,
            if all { items(events.iter().map(stripped).collect()) } else { None },
        ));
        told
    }
}

const fn run_of(event: &StoredEvent) -> Option<Topic> {
    match event.envelope.stream {
        StreamName::Run(run) => Some(Topic::Run(RunId(run))),
        StreamName::RunControl(run) => Some(Topic::RunControl(RunId(run))),
        StreamName::Account(_) | StreamName::KeyRing(_) | StreamName::System => None,
    }
}

fn carried(events: &[StoredEvent]) -> bool {
    let weight = |event: &StoredEvent| {
        512 + event.facts.len() + event.content.iter().map(Vec::len).sum::<usize>()
    };
    events.iter().map(weight).sum::<usize>() <= MOST_CARRIED
}

/// What can't be opened is left to whoever reads the store: they learn why.
fn items(opened: Result<Vec<EventView>, Failure>) -> Option<Vec<(u64, Arc<EventView>)>> {
    let events = opened.ok()?;
    Some(events.into_iter().map(|event| (event.envelope.position, Arc::new(event))).collect())
}

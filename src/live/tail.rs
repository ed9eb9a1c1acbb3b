//! The one reader of the log in a process: it reads each new event once, opens it once, and
//! publishes it to the topics it belongs to.

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

const BATCH: usize = 256;

/// The most bytes of one topic's events that are published with their content; beyond that,
/// subscribers receive only a hint.
const MOST_CARRIED: usize = 64 * 1024;

/// The pause after a failed read.
const PAUSE: Duration = Duration::from_millis(250);

/// Reads the log for the hub.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Tail {
    /// Reads the log and opens its events.
    pub reads: Arc<StoreReads>,
    pub hub: Arc<EventHub>,
}

impl Tail {
    /// Publishes new events as they are committed, until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut commits = self.reads.store.watch();
        loop {
            // Before the read: a commit during it wakes the loop again.
            commits.borrow_and_update();
            let pause = match self.catch_up().await {
                Ok(()) => None,
                Err(error) => {
                    tracing::warn!(%error, "cannot read the log: live feeds are waiting");
                    Some(PAUSE)
                }
            };
            let next = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    // A store that has shut down reports no more commits.
                    None if commits.changed().await.is_err() => std::future::pending().await,
                    None => {}
                }
            };
            if stop.run_until_cancelled(next).await.is_none() {
                return;
            }
        }
    }

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

    /// What to publish of these events: for each topic with subscribers, its own events, opened.
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
        let hinted: HashSet<Topic> = events.iter().filter_map(hint_of).collect();
        let topics: HashSet<Topic> = by_owner
            .keys()
            .map(|owner| Topic::Owner(*owner))
            .chain([Topic::Keys, Topic::All])
            .collect();
        let listened = self.hub.listened(topics);
        let mut told = Vec::with_capacity(by_owner.len() + hinted.len() + 1);
        told.extend(hinted.into_iter().map(|topic| (topic, None)));
        for (owner, events) in by_owner {
            let topic = Topic::Owner(owner);
            let items = if listened.contains(&topic) && carried(&events) {
                items(self.reads.open_events(owner, &events).await)
            } else {
                None
            };
            told.push((topic, items));
        }
        let of_keys: Vec<_> = events
            .iter()
            .filter(|event| matches!(event.envelope.stream, StreamName::KeyRing(_)))
            .collect();
        if listened.contains(&Topic::Keys) && !of_keys.is_empty() {
            told.push((Topic::Keys, items(of_keys.into_iter().map(stripped).collect())));
        }
        let all = listened.contains(&Topic::All) && carried(events);
        told.push((
            Topic::All,
            if all { items(events.iter().map(stripped).collect()) } else { None },
        ));
        told
    }
}

/// The topic whose listeners are only notified.
const fn hint_of(event: &StoredEvent) -> Option<Topic> {
    match event.envelope.stream {
        StreamName::Account(user) => Some(Topic::Account(user)),
        StreamName::Run(run) => Some(Topic::Run(RunId(run))),
        StreamName::RunControl(run) => Some(Topic::RunControl(RunId(run))),
        StreamName::KeyRing(_) | StreamName::System => None,
    }
}

fn carried(events: &[StoredEvent]) -> bool {
    let weight = |event: &StoredEvent| {
        512 + event.facts.len() + event.content.iter().map(Vec::len).sum::<usize>()
    };
    events.iter().map(weight).sum::<usize>() <= MOST_CARRIED
}

/// `None` if an event can't be opened: subscribers read the store instead, and get the reason
/// there.
fn items(opened: Result<Vec<EventView>, Failure>) -> Option<Vec<(u64, Arc<EventView>)>> {
    let events = opened.ok()?;
    Some(events.into_iter().map(|event| (event.envelope.position, Arc::new(event))).collect())
}

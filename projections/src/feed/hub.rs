//! Publishes new items to the listeners of each topic.

use super::driver::Span;
use claviger_domain::id::{RunId, UserId};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Number of spans that wait for a slow listener. If there are more, the listener must read the
/// store.
const SPANS: usize = 16;

/// A subject that listeners can register for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The events of one user.
    Owner(UserId),
    /// The events of one user's account. Listeners are only notified, as for [`Topic::Run`].
    Account(UserId),
    /// The events of one run. Listeners are only notified that there is something to read.
    Run(RunId),
    /// The control requests of one run. Listeners are only notified, as for [`Topic::Run`].
    RunControl(RunId),
    /// The events of all key rings.
    Keys,
    /// All events.
    All,
}

/// What a listener receives.
#[derive(Debug)]
pub enum Told<T> {
    /// A stretch of the log, restricted to the topic.
    Span(Arc<Span<u64, T>>),
    /// More than the channel holds: read the store.
    Lagged,
}

struct Room<T> {
    sender: broadcast::Sender<Arc<Span<u64, T>>>,
    /// Counted here: when two listeners leave at once, each still sees the receiver of the other.
    listeners: usize,
    /// Position up to which the listeners have received everything. Between here and the hub's own
    /// position there is nothing for them.
    told_to: u64,
}

struct State<T> {
    position: u64,
    rooms: HashMap<Topic, Room<T>>,
    /// Runs that something was requested of since they were last taken; `None` if nobody takes
    /// them.
    controlled: Option<HashSet<RunId>>,
}

/// The hub of a process: one reader of the log publishes each event to the listeners of its topics.
pub struct Hub<T> {
    state: Mutex<State<T>>,
}

impl<T> fmt::Debug for Hub<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl<T> Hub<T> {
    /// A hub whose reader has read up to `position`.
    pub fn new(position: u64) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { position, rooms: HashMap::new(), controlled: None }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Position up to which the reader has read.
    pub fn position(&self) -> u64 {
        self.lock().position
    }

    /// Registers a listener, from now on.
    pub fn register(self: &Arc<Self>, topic: Topic) -> Registration<T> {
        let mut state = self.lock();
        let told_to = state.position;
        let room = state.rooms.entry(topic).or_insert_with(|| Room {
            sender: broadcast::channel(SPANS).0,
            listeners: 0,
            told_to,
        });
        room.listeners += 1;
        let spans = room.sender.subscribe();
        Registration { hub: Arc::clone(self), topic, spans }
    }

    /// Those of the topics that have listeners.
    pub fn listened(&self, topics: impl IntoIterator<Item = Topic>) -> HashSet<Topic> {
        let state = self.lock();
        topics.into_iter().filter(|topic| state.rooms.contains_key(topic)).collect()
    }

    /// Publishes a stretch of the log up to `to`. `touched` holds all topics concerned, each with
    /// its items. `None` instead of items means that they could not be made, or that nobody
    /// listened when they were made; listeners that have registered since are notified to read.
    pub fn publish(
        &self,
        to: u64,
        touched: impl IntoIterator<Item = (Topic, Option<Vec<(u64, T)>>)>,
    ) {
        let mut state = self.lock();
        for (topic, items) in touched {
            if let (Topic::RunControl(run), Some(controlled)) = (topic, &mut state.controlled) {
                controlled.insert(run);
            }
            let Some(room) = state.rooms.get_mut(&topic) else { continue };
            let span = match items {
                Some(items) => Span { from: room.told_to, to, items },
                None => Span { from: to, to, items: Vec::new() },
            };
            room.told_to = to;
            // Sending fails only between the last listener's drop and the removal of the room.
            let _ = room.sender.send(Arc::new(span));
        }
        state.position = state.position.max(to);
    }

    /// From now on the hub remembers of which runs something is requested, whether they have a
    /// listener or not, until [`Hub::forget_controlled`].
    pub fn remember_controlled(&self) {
        self.lock().controlled.get_or_insert_default();
    }

    /// The remembered runs. They are forgotten.
    pub fn take_controlled(&self) -> HashSet<RunId> {
        self.lock().controlled.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Puts back runs that were taken.
    pub fn remember(&self, run: RunId) {
        if let Some(controlled) = &mut self.lock().controlled {
            controlled.insert(run);
        }
    }

    /// The hub remembers no more runs.
    pub fn forget_controlled(&self) {
        self.lock().controlled = None;
    }

    fn leave(&self, topic: Topic) {
        let mut state = self.lock();
        let Some(room) = state.rooms.get_mut(&topic) else { return };
        room.listeners = room.listeners.saturating_sub(1);
        if room.listeners == 0 {
            state.rooms.remove(&topic);
        }
    }
}

/// A listener's registration with the hub; ends when dropped.
pub struct Registration<T> {
    hub: Arc<Hub<T>>,
    topic: Topic,
    spans: broadcast::Receiver<Arc<Span<u64, T>>>,
}

impl<T> fmt::Debug for Registration<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl<T: Clone> Registration<T> {
    /// Waits for the next message. Dropping the future loses nothing.
    pub async fn told(&mut self) -> Told<T> {
        match self.spans.recv().await {
            Ok(span) => Told::Span(span),
            Err(RecvError::Lagged(_)) => Told::Lagged,
            // The room lives as long as it has a listener.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl<T> Drop for Registration<T> {
    fn drop(&mut self) {
        self.hub.leave(self.topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use uuid::Uuid;

    fn owner(n: u128) -> Topic {
        Topic::Owner(UserId(Uuid::from_u128(n)))
    }

    fn told(listener: &mut Registration<u64>) -> Option<Span<u64, u64>> {
        match listener.told().now_or_never()? {
            Told::Span(span) => Some((*span).clone()),
            Told::Lagged => panic!("lagged"),
        }
    }

    #[test]
    fn spans_of_a_topic_are_contiguous_whatever_happens_in_other_topics() {
        let hub = Hub::new(5);
        let mut one = hub.register(owner(1));
        hub.publish(7, [(owner(2), Some(vec![(6, 6), (7, 7)]))]);
        assert_eq!(told(&mut one), None);
        hub.publish(9, [(owner(1), Some(vec![(8, 8)])), (owner(2), None)]);
        assert_eq!(told(&mut one), Some(Span { from: 5, to: 9, items: vec![(8, 8)] }));
        let mut late = hub.register(owner(1));
        hub.publish(10, [(owner(1), Some(vec![(10, 10)]))]);
        for listener in [&mut one, &mut late] {
            assert_eq!(told(listener), Some(Span { from: 9, to: 10, items: vec![(10, 10)] }));
        }
    }

    #[test]
    fn a_listener_that_registers_while_items_are_made_is_notified_to_read() {
        let hub = Hub::new(5);
        assert!(hub.listened([owner(1)]).is_empty());
        let mut one = hub.register(owner(1));
        hub.publish(6, [(owner(1), None)]);
        assert_eq!(told(&mut one), Some(Span { from: 6, to: 6, items: Vec::new() }));
    }

    #[test]
    fn runs_are_remembered_by_their_control_requests_while_somebody_takes_them() {
        let (hub, run) = (Hub::<u64>::new(0), RunId(Uuid::from_u128(7)));
        let request = || [(Topic::RunControl(run), None), (Topic::Run(RunId(Uuid::nil())), None)];
        hub.publish(1, request());
        assert!(hub.take_controlled().is_empty());
        hub.remember_controlled();
        hub.publish(2, request());
        assert_eq!(hub.take_controlled(), HashSet::from([run]));
        assert!(hub.take_controlled().is_empty());
        hub.forget_controlled();
        hub.publish(3, request());
        assert!(hub.take_controlled().is_empty());
    }

    #[test]
    fn a_room_exists_as_long_as_it_has_a_listener() {
        let hub: Arc<Hub<u64>> = Hub::new(0);
        let (one, two) = (hub.register(Topic::All), hub.register(Topic::All));
        drop(one);
        assert_eq!(hub.listened([Topic::All, owner(1)]), HashSet::from([Topic::All]));
        drop(two);
        assert!(hub.listened([Topic::All]).is_empty());
    }

    #[test]
    fn listeners_that_leave_at_once_leave_no_room_behind() {
        let hub: Arc<Hub<u64>> = Hub::new(0);
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for n in 0..2_000 {
                        let one = hub.register(owner(n));
                        start.wait();
                        drop(one);
                    }
                });
            }
        });
        assert!(hub.lock().rooms.is_empty());
    }
}

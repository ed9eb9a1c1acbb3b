//! Who may call next with a credential: so many at once, first come first served within a run, and the runs in turn. A credential whose
//! limit of rate was met rests until that ends.

use crate::system::environment::Clock;
use claviger_domain::id::{KeyId, RunId};
use claviger_domain::orchestration::CredentialSource;
use claviger_domain::timestamp::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// A credential, for whoever waits for it.
pub(super) type Lane = (CredentialSource, Option<KeyId>);

#[derive(Default)]
struct State {
    lanes: HashMap<Lane, LaneState>,
    /// Calls under way, whatever the credential.
    under_way: usize,
}

#[derive(Default)]
struct LaneState {
    under_way: usize,
    parked_until: Timestamp,
    /// Whose turn is next stands first.
    waiting: VecDeque<(RunId, VecDeque<oneshot::Sender<Ticket>>)>,
}

/// The queues of a process.
pub(super) struct Queue {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    tracker: TaskTracker,
    per_lane: usize,
    at_once: usize,
}

/// The right to one call; given back when dropped.
pub(super) struct Ticket {
    queue: Arc<Queue>,
    lane: Lane,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.under_way = state.under_way.saturating_sub(1);
        if let Some(lane) = state.lanes.get_mut(&self.lane) {
            lane.under_way = lane.under_way.saturating_sub(1);
        }
        let granted = self.queue.grant(&mut state);
        drop(state);
        self.queue.hand_out(granted);
    }
}

type Granted = Vec<(oneshot::Sender<Ticket>, Lane)>;

impl Queue {
    /// `per_lane` calls at once with one credential, `at_once` in all.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        tracker: TaskTracker,
        per_lane: usize,
        at_once: usize,
    ) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), clock, tracker, per_lane, at_once })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ticket at once, if it is nobody else's turn.
    pub(super) fn try_take(self: &Arc<Self>, lane: Lane) -> Option<Ticket> {
        let now = self.clock.now();
        let mut state = self.lock();
        let has_room = state.under_way < self.at_once;
        let of_lane = state.lanes.entry(lane).or_default();
        let is_free = has_room
            && of_lane.waiting.is_empty()
            && of_lane.under_way < self.per_lane
            && of_lane.parked_until <= now;
        if !is_free {
            return None;
        }
        of_lane.under_way += 1;
        state.under_way += 1;
        Some(Ticket { queue: Arc::clone(self), lane })
    }

    /// Waits for a ticket. Dropping what is returned leaves the queue.
    pub(super) fn take(self: &Arc<Self>, lane: Lane, run: RunId) -> oneshot::Receiver<Ticket> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let of_lane = state.lanes.entry(lane).or_default();
        match of_lane.waiting.iter_mut().find(|(of, _)| *of == run) {
            Some((_, waiting)) => waiting.push_back(sender),
            None => of_lane.waiting.push_back((run, VecDeque::from([sender]))),
        }
        let parked_until = of_lane.parked_until;
        let granted = self.grant(&mut state);
        drop(state);
        self.hand_out(granted);
        self.wake_at(parked_until);
        receiver
    }

    /// Nobody calls with this credential before then.
    pub(super) fn park(self: &Arc<Self>, lane: Lane, until: Timestamp) {
        let mut state = self.lock();
        let of_lane = state.lanes.entry(lane).or_default();
        of_lane.parked_until = of_lane.parked_until.max(until);
        drop(state);
        self.wake_at(until);
    }

    /// Looks again once a credential has rested.
    fn wake_at(self: &Arc<Self>, until: Timestamp) {
        let wait = until.ms_since(self.clock.now());
        if wait == 0 {
            return;
        }
        let queue = Arc::downgrade(self);
        self.tracker.spawn(async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            if let Some(queue) = queue.upgrade() {
                let granted = queue.grant(&mut queue.lock());
                queue.hand_out(granted);
            }
        });
    }

    /// Decides who may go. Tickets are made outside of the lock, since one that nobody takes is given back at once.
    fn grant(&self, state: &mut State) -> Granted {
        let now = self.clock.now();
        let mut granted = Vec::new();
        let State { lanes, under_way } = state;
        for (name, lane) in lanes.iter_mut() {
            while lane.parked_until <= now
                && lane.under_way < self.per_lane
                && *under_way < self.at_once
            {
                let Some((run, mut waiting)) = lane.waiting.pop_front() else { break };
                let next =
                    std::iter::from_fn(|| waiting.pop_front()).find(|sender| !sender.is_closed());
                if !waiting.is_empty() {
                    lane.waiting.push_back((run, waiting));
                }
                if let Some(sender) = next {
                    lane.under_way += 1;
                    *under_way += 1;
                    granted.push((sender, *name));
                }
            }
        }
        lanes.retain(|_, lane| {
            lane.under_way > 0 || !lane.waiting.is_empty() || lane.parked_until > now
        });
        granted
    }

    fn hand_out(self: &Arc<Self>, granted: Granted) {
        for (sender, lane) in granted {
            // One that left meanwhile gives it back by dropping it.
            drop(sender.send(Ticket { queue: Arc::clone(self), lane }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use uuid::Uuid;

    struct Still(AtomicU64);
    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }
    }

    const LANE: Lane = (CredentialSource::EnvAnthropicApiKey, None);

    fn queue(per_lane: usize, at_once: usize) -> (Arc<Still>, Arc<Queue>) {
        let clock = Arc::new(Still(AtomicU64::new(1_000)));
        let queue = Queue::new(Arc::<Still>::clone(&clock), TaskTracker::new(), per_lane, at_once);
        (clock, queue)
    }

    fn run(n: u128) -> RunId {
        RunId(Uuid::from_u128(n))
    }

    #[tokio::test]
    async fn runs_take_turns_and_within_a_run_the_first_comes_first() {
        let (_, queue) = queue(1, 10);
        let held = queue.try_take(LANE).unwrap();
        assert!(queue.try_take(LANE).is_none(), "one call at once");
        let mut waiting: Vec<_> =
            [1, 1, 2, 1, 2].map(|n| queue.take(LANE, run(n))).into_iter().collect();
        drop(held);
        let mut order = Vec::new();
        for _ in 0..5 {
            let got: Vec<_> = (0..5)
                .filter(|n| !order.contains(n))
                .filter_map(|n| Some((n, waiting[n].try_recv().ok()?)))
                .collect();
            assert_eq!(got.len(), 1, "one at a time");
            order.push(got[0].0);
        }
        assert_eq!(order, [0, 2, 1, 4, 3]);
    }

    #[tokio::test]
    async fn whoever_leaves_keeps_nobody_waiting() {
        let (_, queue) = queue(1, 10);
        let held = queue.try_take(LANE).unwrap();
        drop(queue.take(LANE, run(1)));
        let mut next = queue.take(LANE, run(2));
        drop(held);
        let ticket = next.try_recv().unwrap();
        let left = queue.take(LANE, run(3));
        drop(ticket);
        // It was granted, and its receiver goes without taking it.
        drop(left);
        assert!(queue.try_take(LANE).is_some());
    }

    #[tokio::test]
    async fn a_parked_credential_rests_and_others_go_on() {
        let (clock, queue) = queue(4, 10);
        queue.park(LANE, Timestamp(1_001));
        assert!(queue.try_take(LANE).is_none());
        assert!(queue.try_take((CredentialSource::MaxPlan, None)).is_some());
        let waiting = queue.take(LANE, run(1));
        clock.0.store(1_001, Ordering::SeqCst);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test]
    async fn all_credentials_together_have_a_bound() {
        let (_, queue) = queue(4, 2);
        let other = (CredentialSource::MaxPlan, None);
        let (one, two) = (queue.try_take(LANE).unwrap(), queue.try_take(other).unwrap());
        assert!(queue.try_take(other).is_none());
        let mut waiting = queue.take(other, run(1));
        drop(one);
        assert!(waiting.try_recv().is_ok());
        drop(two);
    }
}

//! Which call may start next with a credential: up to a number at a time, in order within a run,
//! and the runs in turn. A credential that hit a rate limit is parked until the limit ends.

use crate::system::environment::Clock;
use claviger_domain::id::{KeyId, RunId};
use claviger_domain::orchestration::{Credential, CredentialSource};
use claviger_domain::timestamp::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// A credential, without the version of its secret. Calls with it share a queue.
pub(super) type Lane = (CredentialSource, Option<KeyId>);

pub(super) const fn lane_of(credential: Credential) -> Lane {
    (credential.source, credential.key)
}

#[derive(Default)]
struct State {
    lanes: HashMap<Lane, LaneState>,
    /// Calls under way with all credentials together.
    under_way: usize,
}

#[derive(Default)]
struct LaneState {
    under_way: usize,
    parked_until: Timestamp,
    /// The run whose turn is next is first.
    waiting: VecDeque<(RunId, VecDeque<oneshot::Sender<Ticket>>)>,
}

/// The queues of a process, one per credential.
pub(super) struct Queue {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    tracker: TaskTracker,
    per_lane: usize,
    at_once: usize,
}

/// The right to one call at a time; given back when dropped.
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
        self.queue.send(granted);
    }
}

type Granted = Vec<(oneshot::Sender<Ticket>, Lane)>;

impl Queue {
    /// At most `per_lane` calls at a time with one credential, and `at_once` with all of them.
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

    /// A ticket, if one is free and no run waits for it.
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

    /// Queues for a ticket. Dropping the receiver leaves the queue.
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
        self.send(granted);
        self.wake_at(parked_until);
        receiver
    }

    /// Grants no ticket for this credential before then.
    pub(super) fn park(self: &Arc<Self>, lane: Lane, until: Timestamp) {
        let mut state = self.lock();
        let of_lane = state.lanes.entry(lane).or_default();
        of_lane.parked_until = of_lane.parked_until.max(until);
        drop(state);
        self.wake_at(until);
    }

    /// Grants tickets again once a credential is no longer parked.
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
                queue.send(granted);
            }
        });
    }

    /// Decides which waiting calls get a ticket. The tickets are made outside of the lock, because
    /// one whose receiver is gone is given back at once, which takes the lock.
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

    fn send(self: &Arc<Self>, granted: Granted) {
        for (sender, lane) in granted {
            // If the receiver left meanwhile, dropping the ticket gives it back.
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
    async fn a_receiver_that_leaves_blocks_no_other() {
        let (_, queue) = queue(1, 10);
        let held = queue.try_take(LANE).unwrap();
        drop(queue.take(LANE, run(1)));
        let mut next = queue.take(LANE, run(2));
        drop(held);
        let ticket = next.try_recv().unwrap();
        let left = queue.take(LANE, run(3));
        drop(ticket);
        // A ticket was sent, and its receiver is dropped without taking it.
        drop(left);
        assert!(queue.try_take(LANE).is_some());
    }

    #[tokio::test]
    async fn a_parked_credential_gets_no_ticket_and_others_do() {
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

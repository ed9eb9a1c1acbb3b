//! Which call may start next with a credential: up to a number at a time, in order within a run.
//! Tickets are handed out one at a time: owners take turns, then an owner's credentials, then the
//! runs. What owners share, all tickets together and those of a credential of the operator, is
//! theirs by the rule of [`super::share`]. A credential that hit a rate limit is parked until the
//! limit ends.

use super::share::may_take;
use crate::system::environment::Clock;
use claviger_domain::id::{KeyId, RunId, UserId};
use claviger_domain::orchestration::{Credential, CredentialSource};
use claviger_domain::timestamp::{Timestamp, Uptime};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// A credential, without the version of its secret. Calls with it share a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// A user's key, however it was chosen.
    Key(KeyId),
    /// A credential of the operator, which owners share.
    Operator(CredentialSource),
}

pub(super) fn lane_of(credential: Credential) -> Lane {
    credential.key.map_or(Lane::Operator(credential.source), Lane::Key)
}

#[derive(Default)]
struct State {
    lanes: HashMap<Lane, LaneState>,
    owners: HashMap<UserId, OwnerState>,
    /// Owners with waiting calls; the one whose turn is next is first.
    turns: VecDeque<UserId>,
    /// Calls under way with all credentials together.
    under_way: usize,
}

#[derive(Default)]
struct LaneState {
    under_way: usize,
    /// Of those, each owner's.
    by_owner: HashMap<UserId, usize>,
    parked_until: Uptime,
}

/// Runs with their waiting calls; the run whose turn is next is first.
type Turns = VecDeque<(RunId, VecDeque<oneshot::Sender<Ticket>>)>;

#[derive(Default)]
struct OwnerState {
    under_way: usize,
    /// The credential whose turn is next is first.
    waiting: VecDeque<(Lane, Turns)>,
}

/// Most calls at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// With one key.
    pub(super) per_lane: usize,
    /// By Max Plan: as many programs as may run. A call that waits for one of them behind its ticket
    /// would wait in the order of arrival, whoever's it is.
    pub(super) max_plan: usize,
    /// With all credentials together.
    pub(super) at_once: usize,
}

impl Bounds {
    fn of(self, lane: Lane) -> usize {
        match lane {
            Lane::Operator(CredentialSource::MaxPlan) => self.per_lane.min(self.max_plan),
            Lane::Operator(_) | Lane::Key(_) => self.per_lane,
        }
    }
}

/// The queues of a process, one per credential.
pub(super) struct Queue {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    tracker: TaskTracker,
    bounds: Bounds,
    /// Ends the tasks that wait for the end of rate limits.
    over: CancellationToken,
    _ends: DropGuard,
}

/// The right to one call at a time; given back when dropped.
pub(super) struct Ticket {
    queue: Arc<Queue>,
    owner: UserId,
    lane: Lane,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.give_back(self.owner, self.lane, self.queue.clock.uptime());
        let granted = self.queue.grant(&mut state);
        drop(state);
        self.queue.send(granted);
    }
}

type Granted = Vec<(oneshot::Sender<Ticket>, UserId, Lane)>;

/// A call whose turn it is, and whether its run has more.
fn next_of(runs: &mut Turns) -> Option<oneshot::Sender<Ticket>> {
    while let Some((run, mut calls)) = runs.pop_front() {
        let next = std::iter::from_fn(|| calls.pop_front()).find(|sender| !sender.is_closed());
        if !calls.is_empty() {
            runs.push_back((run, calls));
        }
        if next.is_some() {
            return next;
        }
    }
    None
}

impl State {
    fn give_back(&mut self, owner: UserId, lane: Lane, now: Uptime) {
        self.under_way = self.under_way.saturating_sub(1);
        if let Some(of_owner) = self.owners.get_mut(&owner) {
            of_owner.under_way = of_owner.under_way.saturating_sub(1);
            if of_owner.under_way == 0 && of_owner.waiting.is_empty() {
                self.owners.remove(&owner);
            }
        }
        let Some(of_lane) = self.lanes.get_mut(&lane) else { return };
        of_lane.under_way = of_lane.under_way.saturating_sub(1);
        if let Some(held) = of_lane.by_owner.get_mut(&owner) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                of_lane.by_owner.remove(&owner);
            }
        }
        if of_lane.under_way == 0 && of_lane.parked_until <= now {
            self.lanes.remove(&lane);
        }
    }

    /// One ticket for this owner, if it may have one: the call that gets it.
    fn grant_to(
        &mut self,
        owner: UserId,
        bounds: Bounds,
        now: Uptime,
    ) -> Option<(oneshot::Sender<Ticket>, UserId, Lane)> {
        let of_owner = self.owners.get_mut(&owner)?;
        if !may_take(of_owner.under_way, bounds.at_once.saturating_sub(self.under_way)) {
            return None;
        }
        for _ in 0..of_owner.waiting.len() {
            let (lane, mut runs) = of_owner.waiting.pop_front()?;
            let is_free = self.lanes.get(&lane).is_none_or(|of_lane| {
                let free = bounds.of(lane).saturating_sub(of_lane.under_way);
                let held = of_lane.by_owner.get(&owner).copied().unwrap_or_default();
                of_lane.parked_until <= now
                    && match lane {
                        Lane::Key(_) => free > 0,
                        Lane::Operator(_) => may_take(held, free),
                    }
            });
            let next = if is_free { next_of(&mut runs) } else { None };
            if !runs.is_empty() {
                of_owner.waiting.push_back((lane, runs));
            }
            let Some(next) = next else { continue };
            of_owner.under_way += 1;
            self.under_way += 1;
            let of_lane = self.lanes.entry(lane).or_default();
            of_lane.under_way += 1;
            *of_lane.by_owner.entry(owner).or_default() += 1;
            return Some((next, owner, lane));
        }
        None
    }
}

impl Queue {
    pub(super) fn new(clock: Arc<dyn Clock>, tracker: TaskTracker, bounds: Bounds) -> Arc<Self> {
        let over = CancellationToken::new();
        Arc::new(Self {
            state: Mutex::default(),
            clock,
            tracker,
            bounds,
            _ends: over.clone().drop_guard(),
            over,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues for a ticket; it may be there at once. Dropping the receiver leaves the queue.
    pub(super) fn take(
        self: &Arc<Self>,
        owner: UserId,
        lane: Lane,
        run: RunId,
    ) -> oneshot::Receiver<Ticket> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let of_owner = state.owners.entry(owner).or_default();
        let is_new = of_owner.waiting.is_empty();
        let place = of_owner.waiting.iter_mut().find(|(of, _)| *of == lane);
        match place.map(|(_, runs)| runs) {
            None => {
                let calls = VecDeque::from([(run, VecDeque::from([sender]))]);
                of_owner.waiting.push_back((lane, calls));
            }
            Some(runs) => match runs.iter_mut().find(|(of, _)| *of == run) {
                Some((_, calls)) => {
                    calls.retain(|waiting| !waiting.is_closed());
                    calls.push_back(sender);
                }
                None => runs.push_back((run, VecDeque::from([sender]))),
            },
        }
        if is_new {
            state.turns.push_back(owner);
        }
        let granted = self.grant(&mut state);
        drop(state);
        self.send(granted);
        receiver
    }

    /// Grants no ticket for this credential before then.
    pub(super) fn park(self: &Arc<Self>, lane: Lane, until: Timestamp) {
        // A time of day that is set back must not make the rest longer.
        let now = self.clock.uptime();
        let until = now.plus_ms(until.ms_since(self.clock.now()));
        let mut state = self.lock();
        let of_lane = state.lanes.entry(lane).or_default();
        let is_later = until > of_lane.parked_until;
        of_lane.parked_until = of_lane.parked_until.max(until);
        drop(state);
        if is_later && until > now {
            self.wake_at(until);
        }
    }

    /// Grants tickets again once a credential is no longer parked.
    fn wake_at(self: &Arc<Self>, until: Uptime) {
        let (queue, clock) = (Arc::downgrade(self), Arc::clone(&self.clock));
        let over = self.over.clone();
        self.tracker.spawn(async move {
            let parked = async {
                while let wait @ 1.. = until.ms_since(clock.uptime()) {
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
            };
            if over.run_until_cancelled(parked).await.is_none() {
                return;
            }
            if let Some(queue) = queue.upgrade() {
                let mut state = queue.lock();
                let now = clock.uptime();
                state.lanes.retain(|_, lane| lane.under_way > 0 || lane.parked_until > now);
                let granted = queue.grant(&mut state);
                drop(state);
                queue.send(granted);
            }
        });
    }

    /// Decides which waiting calls get a ticket. The tickets are made outside of the lock, because
    /// one whose receiver is gone is given back at once, which takes the lock.
    fn grant(&self, state: &mut State) -> Granted {
        let (now, bounds) = (self.clock.uptime(), self.bounds);
        let (mut granted, mut passed_over) = (Vec::new(), 0);
        while passed_over < state.turns.len() && state.under_way < bounds.at_once {
            let Some(owner) = state.turns.pop_front() else { break };
            match state.grant_to(owner, bounds, now) {
                Some(next) => {
                    granted.push(next);
                    passed_over = 0;
                }
                None => passed_over += 1,
            }
            match state.owners.get(&owner) {
                Some(of_owner) if !of_owner.waiting.is_empty() => state.turns.push_back(owner),
                // Its calls left the queue.
                Some(of_owner) if of_owner.under_way == 0 => drop(state.owners.remove(&owner)),
                Some(_) | None => {}
            }
        }
        granted
    }

    fn send(self: &Arc<Self>, granted: Granted) {
        for (sender, owner, lane) in granted {
            // If the receiver left meanwhile, dropping the ticket gives it back.
            drop(sender.send(Ticket { queue: Arc::clone(self), owner, lane }));
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;

//! Which call may start next with a credential: up to a number at a time, in order within a run.
//! Tickets are handed out one at a time: owners take turns, then an owner's credentials, then the
//! runs. What owners share, all tickets together and those of a credential of the operator, is
//! theirs by the rule of [`super::share`]. What hit a rate limit rests until the limit ends
//! ([`super::rests`]).

use super::rests::{Rests, family};
use super::share::may_take;
use crate::system::environment::Timer;
use claviger_domain::id::{KeyId, RunId, UserId};
use claviger_domain::orchestration::{Credential, CredentialSource};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    rests: Rests,
}

#[derive(Default)]
struct LaneState {
    under_way: usize,
    /// Of those, each owner's.
    by_owner: HashMap<UserId, usize>,
}

/// A call that waits for its turn.
struct Waiting {
    /// Of its model.
    family: String,
    ticket: oneshot::Sender<Ticket>,
}

/// Runs with their waiting calls; the run whose turn is next is first.
type Turns = VecDeque<(RunId, VecDeque<Waiting>)>;

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
    timer: Arc<dyn Timer>,
    tracker: TaskTracker,
    bounds: Bounds,
    /// Ends the tasks that wait for the end of rests.
    over: CancellationToken,
    _ends: DropGuard,
}

/// A limit that was hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) lane: Lane,
    /// Of the credential's secret.
    pub(super) version: Option<u32>,
    /// That the upstream names.
    pub(super) organization: Option<String>,
    pub(super) model: String,
    /// In milliseconds of the timer.
    pub(super) until_ms: u64,
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
        state.give_back(self.owner, self.lane);
        let granted = self.queue.grant(&mut state);
        drop(state);
        self.queue.send(granted);
    }
}

type Granted = Vec<(oneshot::Sender<Ticket>, UserId, Lane)>;

/// The first call whose turn it is, of those that don't rest.
fn next_of(runs: &mut Turns, is_rested: impl Fn(&str) -> bool) -> Option<oneshot::Sender<Ticket>> {
    for _ in 0..runs.len() {
        let (run, mut calls) = runs.pop_front()?;
        calls.retain(|call| !call.ticket.is_closed());
        let next = calls.iter().position(|call| is_rested(&call.family));
        let next = next.and_then(|at| calls.remove(at));
        if !calls.is_empty() {
            runs.push_back((run, calls));
        }
        if let Some(next) = next {
            return Some(next.ticket);
        }
    }
    None
}

impl State {
    fn give_back(&mut self, owner: UserId, lane: Lane) {
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
        if of_lane.under_way == 0 {
            self.lanes.remove(&lane);
        }
    }

    /// One ticket for this owner, if it may have one: the call that gets it.
    fn grant_to(
        &mut self,
        owner: UserId,
        bounds: Bounds,
        now_ms: u64,
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
                match lane {
                    Lane::Key(_) => free > 0,
                    Lane::Operator(_) => may_take(held, free),
                }
            });
            let is_rested = |family: &str| self.rests.of(lane, family) <= now_ms;
            let next = if is_free { next_of(&mut runs, is_rested) } else { None };
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
    pub(super) fn new(timer: Arc<dyn Timer>, tracker: TaskTracker, bounds: Bounds) -> Arc<Self> {
        let over = CancellationToken::new();
        Arc::new(Self {
            state: Mutex::default(),
            timer,
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
        (lane, model): (Lane, &str),
        run: RunId,
    ) -> oneshot::Receiver<Ticket> {
        let (ticket, receiver) = oneshot::channel();
        let call = Waiting { family: family(model), ticket };
        let mut state = self.lock();
        let of_owner = state.owners.entry(owner).or_default();
        let is_new = of_owner.waiting.is_empty();
        let place = of_owner.waiting.iter_mut().find(|(of, _)| *of == lane);
        match place.map(|(_, runs)| runs) {
            None => {
                let calls = VecDeque::from([(run, VecDeque::from([call]))]);
                of_owner.waiting.push_back((lane, calls));
            }
            Some(runs) => match runs.iter_mut().find(|(of, _)| *of == run) {
                Some((_, calls)) => {
                    calls.retain(|waiting| !waiting.ticket.is_closed());
                    calls.push_back(call);
                }
                None => runs.push_back((run, VecDeque::from([call]))),
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

    /// A limit was hit: grants no ticket for what it belongs to before then.
    pub(super) fn rest(self: &Arc<Self>, rest: &Rest) {
        let Rest { lane, version, organization, model, until_ms } = rest;
        let organization = organization.as_deref();
        let mut state = self.lock();
        let is_longer = state.rests.rest((*lane, *version), organization, model, *until_ms);
        drop(state);
        if is_longer {
            self.wake_at(*until_ms);
        }
    }

    /// A call was answered in the name of an organisation.
    pub(super) fn learn(&self, who: (Lane, Option<u32>), organization: &str) {
        self.lock().rests.learn(who, organization);
    }

    /// The credential has a new secret, or passed a test: see [`Rests::freshen`].
    pub(super) fn freshen(self: &Arc<Self>, lane: Lane, version: Option<u32>) {
        self.change(|rests| rests.freshen(lane, version));
    }

    /// The same for all credentials.
    pub(super) fn freshen_all(self: &Arc<Self>) {
        self.change(Rests::clear);
    }

    fn change(self: &Arc<Self>, change: impl FnOnce(&mut Rests)) {
        let mut state = self.lock();
        change(&mut state.rests);
        let granted = self.grant(&mut state);
        drop(state);
        self.send(granted);
    }

    /// Nobody waits for the end of a rest any longer.
    pub(super) fn close(&self) {
        self.over.cancel();
    }

    /// Grants tickets again once a rest is over.
    fn wake_at(self: &Arc<Self>, until_ms: u64) {
        let (queue, timer) = (Arc::downgrade(self), Arc::clone(&self.timer));
        let over = self.over.clone();
        self.tracker.spawn(async move {
            if over.run_until_cancelled(timer.until(until_ms)).await.is_none() {
                return;
            }
            if let Some(queue) = queue.upgrade() {
                let now_ms = timer.elapsed_ms();
                queue.change(|rests| rests.forget(now_ms));
            }
        });
    }

    /// Decides which waiting calls get a ticket. The tickets are made outside of the lock, because
    /// one whose receiver is gone is given back at once, which takes the lock.
    fn grant(&self, state: &mut State) -> Granted {
        let (now_ms, bounds) = (self.timer.elapsed_ms(), self.bounds);
        let (mut granted, mut passed_over) = (Vec::new(), 0);
        while passed_over < state.turns.len() && state.under_way < bounds.at_once {
            let Some(owner) = state.turns.pop_front() else { break };
            match state.grant_to(owner, bounds, now_ms) {
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

//! Which runs are worked on: a bounded number of places, handed out by owner (see
//! [`super::share`]). No IO.

use super::share::may_take;
use claviger_domain::id::{RunId, UserId};
use std::collections::{HashMap, HashSet, VecDeque};

/// The places of a process, and the runs that wait for one.
#[derive(Debug)]
pub(super) struct Places<T> {
    most: usize,
    taken: usize,
    held: HashMap<UserId, usize>,
    /// Owners with waiting runs; the one whose turn is next is first.
    turns: VecDeque<UserId>,
    waiting: HashMap<UserId, VecDeque<(RunId, T)>>,
    /// Those that wait, so that none waits twice.
    runs: HashSet<RunId>,
}

impl<T> Places<T> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            taken: 0,
            held: HashMap::new(),
            turns: VecDeque::new(),
            waiting: HashMap::new(),
            runs: HashSet::new(),
        }
    }

    /// Number of runs that wait.
    pub(super) fn waiting(&self) -> usize {
        self.runs.len()
    }

    /// Places that this owner holds.
    pub(super) fn held(&self, owner: UserId) -> usize {
        self.held.get(&owner).copied().unwrap_or_default()
    }

    /// The run waits, behind the owner's others. One that waits already stays where it is.
    pub(super) fn wait(&mut self, owner: UserId, run: RunId, what: T) {
        if self.runs.insert(run) {
            self.of(owner).push_back((run, what));
        }
    }

    /// The run waits, before the owner's others: it had a place already.
    pub(super) fn wait_first(&mut self, owner: UserId, run: RunId, what: T) {
        if self.runs.insert(run) {
            self.of(owner).push_front((run, what));
        }
    }

    fn of(&mut self, owner: UserId) -> &mut VecDeque<(RunId, T)> {
        let waiting = self.waiting.entry(owner).or_default();
        if waiting.is_empty() {
            self.turns.push_back(owner);
        }
        waiting
    }

    /// The run that gets a place now; `None` if none waits that may have one.
    pub(super) fn next(&mut self) -> Option<(UserId, RunId, T)> {
        for _ in 0..self.turns.len() {
            let owner = self.turns.pop_front()?;
            let free = self.most.saturating_sub(self.taken);
            let next = if may_take(self.held(owner), free) {
                self.waiting.get_mut(&owner).and_then(VecDeque::pop_front)
            } else {
                None
            };
            if self.waiting.get(&owner).is_none_or(VecDeque::is_empty) {
                self.waiting.remove(&owner);
            } else {
                self.turns.push_back(owner);
            }
            if let Some((run, what)) = next {
                self.runs.remove(&run);
                *self.held.entry(owner).or_default() += 1;
                self.taken += 1;
                return Some((owner, run, what));
            }
        }
        None
    }

    /// A place of this owner is free again.
    pub(super) fn leave(&mut self, owner: UserId) {
        self.taken = self.taken.saturating_sub(1);
        let left = self.held(owner).saturating_sub(1);
        if left == 0 {
            self.held.remove(&owner);
        } else {
            self.held.insert(owner, left);
        }
    }

    /// The run waits no longer, if this holds for it.
    pub(super) fn withdraw(&mut self, owner: UserId, run: RunId, holds: impl Fn(&T) -> bool) {
        let Some(waiting) = self.waiting.get_mut(&owner) else { return };
        let Some(at) = waiting.iter().position(|(queued, what)| *queued == run && holds(what))
        else {
            return;
        };
        waiting.remove(at);
        self.runs.remove(&run);
        if waiting.is_empty() {
            self.waiting.remove(&owner);
            self.turns.retain(|turn| *turn != owner);
        }
    }

    /// No run waits any longer.
    pub(super) fn clear(&mut self) {
        self.turns.clear();
        self.waiting.clear();
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ADA: UserId = UserId(Uuid::from_u128(1));
    const BOB: UserId = UserId(Uuid::from_u128(2));
    const CID: UserId = UserId(Uuid::from_u128(3));

    fn run(n: u128) -> RunId {
        RunId(Uuid::from_u128(n))
    }

    fn all(places: &mut Places<()>) -> Vec<u128> {
        std::iter::from_fn(|| places.next().map(|(_, run, ())| run.0.as_u128())).collect()
    }

    #[test]
    fn owners_take_turns_and_a_newcomer_begins_at_once() {
        let mut places = Places::new(6);
        for n in 1..=9 {
            places.wait(ADA, run(n), ());
        }
        assert_eq!(all(&mut places), [1, 2, 3], "one owner alone has half");
        for n in 11..=19 {
            places.wait(BOB, run(n), ());
        }
        assert_eq!(all(&mut places), [11, 12], "while one holds fewer than are free");
        places.wait(CID, run(21), ());
        assert_eq!(all(&mut places), [21]);
        for owner in [ADA, BOB, CID, ADA, BOB, ADA] {
            places.leave(owner);
        }
        assert_eq!(all(&mut places), [4, 13, 5, 14]);
    }

    #[test]
    fn a_run_waits_once_and_may_withdraw() {
        let mut places = Places::new(1);
        places.wait(ADA, run(1), ());
        places.wait(ADA, run(1), ());
        places.wait(ADA, run(2), ());
        places.wait_first(ADA, run(3), ());
        places.wait(BOB, run(4), ());
        places.withdraw(ADA, run(2), |()| true);
        places.withdraw(ADA, run(1), |()| false);
        places.withdraw(BOB, run(4), |()| true);
        assert_eq!(places.waiting(), 2);
        assert_eq!(all(&mut places), [3]);
        places.leave(ADA);
        assert_eq!(all(&mut places), [1]);
        assert_eq!(places.waiting(), 0);
    }
}

//! Holds the batcher, makes it fail, and counts what it commits.

use claviger_domain::id::EventId;
use claviger_projections::ports::{Append, BoxFuture};
use claviger_store::mongo::{Fault, Faults};
use claviger_suite::FaultHooks;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};
use tokio::sync::watch;

#[derive(Default)]
struct State {
    armed: bool,
    killed: bool,
    failing_events: HashSet<EventId>,
    failing_commits: usize,
    lost_answers: usize,
    batches: Vec<usize>,
}

pub(super) struct Gate {
    state: Mutex<State>,
    held: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { state: Mutex::default(), held: watch::Sender::new(false) }
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The process that is held is gone when it is released.
    pub(super) fn kill(&self) {
        self.state().killed = *self.held.borrow();
    }

    /// The answers of the next commits are lost.
    pub(super) fn lose_answers(&self, times: usize) {
        self.state().lost_answers = times;
    }

    /// Nothing fails any more.
    pub(super) fn mend(&self) {
        let mut state = self.state();
        state.failing_events.clear();
        (state.failing_commits, state.lost_answers) = (0, 0);
    }

    /// How many appends each transaction had that was about to commit.
    pub(super) fn batches(&self) -> Vec<usize> {
        self.state().batches.clone()
    }
}

impl Faults for Gate {
    fn before_append(&self, append: &Append) -> Option<Fault> {
        let state = self.state();
        append
            .events
            .iter()
            .any(|event| state.failing_events.contains(&event.id))
            .then_some(Fault::Statement)
    }

    fn before_commit(&self, appends: usize) -> BoxFuture<'_, Option<Fault>> {
        Box::pin(async move {
            let armed = {
                let mut state = self.state();
                state.batches.push(appends);
                std::mem::take(&mut state.armed)
            };
            if armed {
                self.held.send_replace(true);
                self.held.subscribe().wait_for(|held| !*held).await.unwrap();
                if std::mem::take(&mut self.state().killed) {
                    return Some(Fault::Killed);
                }
            }
            let mut state = self.state();
            let fails = state.failing_commits > 0;
            state.failing_commits = state.failing_commits.saturating_sub(1);
            fails.then_some(Fault::Statement)
        })
    }

    fn loses_answer(&self) -> bool {
        let mut state = self.state();
        let lost = state.lost_answers > 0;
        state.lost_answers = state.lost_answers.saturating_sub(1);
        lost
    }
}

impl FaultHooks for Gate {
    fn park(&self) {
        self.state().armed = true;
    }

    fn parked(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.held.subscribe().wait_for(|held| *held).await.unwrap();
        })
    }

    fn release(&self) {
        self.state().armed = false;
        self.held.send_replace(false);
    }

    fn fail_statement(&self, event: EventId) {
        self.state().failing_events.insert(event);
    }

    fn fail_commits(&self, times: usize) {
        self.state().failing_commits = times;
    }
}

//! Holds the writer of the embedded store, makes it fail, and counts what it commits.

use claviger_domain::id::EventId;
use claviger_projections::ports::{Append, BoxFuture};
use claviger_store::sqlite::{Fault, Faults};
use claviger_suite::FaultHooks;
use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard};
use tokio::sync::watch;

#[derive(Default)]
struct State {
    armed: bool,
    held: bool,
    failing_events: HashSet<EventId>,
    commit_faults: Vec<Fault>,
    batches: Vec<usize>,
}

pub(super) struct Gate {
    state: Mutex<State>,
    released: Condvar,
    held: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { state: Mutex::default(), released: Condvar::new(), held: watch::Sender::new(false) }
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next commit fails like this.
    pub(super) fn fail_commit(&self, fault: Fault) {
        self.state().commit_faults.push(fault);
    }

    /// How many tasks each transaction had that was about to commit.
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

    fn before_commit(&self, tasks: usize) -> Option<Fault> {
        let mut state = self.state();
        state.batches.push(tasks);
        if std::mem::take(&mut state.armed) {
            state.held = true;
            self.held.send_replace(true);
            state = self.released.wait_while(state, |state| state.held).unwrap();
        }
        state.commit_faults.pop()
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
        let mut state = self.state();
        state.armed = false;
        state.held = false;
        self.held.send_replace(false);
        self.released.notify_all();
    }

    fn fail_statement(&self, event: EventId) {
        self.state().failing_events.insert(event);
    }

    fn fail_commits(&self, times: usize) {
        self.state().commit_faults.extend(std::iter::repeat_n(Fault::Statement, times));
    }
}

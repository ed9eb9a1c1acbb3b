//! A run that only waits, for a ticket, for a time or for a request, and gave its place to another.
//! It keeps its turn for tickets. Its state is in the log: a place, once it has one again, reads it.

use super::decide::Trying;
use super::queue::Ticket;
use crate::live::EventHub;
use crate::system::environment::Timer;
use claviger_application::EventView;
use claviger_domain::id::{RunId, StepId, UserId};
use claviger_projections::feed::{Registration, Topic};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Turns for tickets, each of a step.
pub(super) type Turns = FuturesUnordered<BoxFuture<'static, (StepId, Option<Ticket>)>>;

/// What a run keeps while it has no place.
pub(super) struct Standby {
    /// Receives a message for each control request.
    pub(super) requests: Registration<Arc<EventView>>,
    /// Receives a message for each event of the owner's account.
    pub(super) account: Registration<Arc<EventView>>,
    /// Steps that wait for a ticket.
    pub(super) queued: HashSet<StepId>,
    pub(super) turns: Turns,
    /// The tickets that came.
    pub(super) tickets: HashMap<StepId, Ticket>,
    /// When the earliest postponed attempt may start, by the timer.
    pub(super) due: Option<u64>,
    /// The failures in a row of each step.
    pub(super) trying: HashMap<StepId, Trying>,
}

impl Standby {
    /// Of a run that waits for nothing yet. Registered before anything is read, so that a request
    /// made meanwhile is received.
    pub(super) fn new(hub: &Arc<EventHub>, owner: UserId, run: RunId) -> Self {
        Self {
            requests: hub.register(Topic::RunControl(run)),
            account: hub.register(Topic::Account(owner)),
            queued: HashSet::new(),
            turns: FuturesUnordered::new(),
            tickets: HashMap::new(),
            due: None,
            trying: HashMap::new(),
        }
    }

    /// Gives back all tickets and turns.
    pub(super) fn leave_queue(&mut self) {
        self.queued.clear();
        self.turns.clear();
        self.tickets.clear();
    }

    /// Waits until there is something to do.
    pub(super) async fn until_due(&mut self, timer: &dyn Timer, hint: oneshot::Receiver<()>) {
        let due = self.due;
        tokio::select! {
            Some((step, ticket)) = self.turns.next(), if !self.turns.is_empty() => {
                self.queued.remove(&step);
                if let Some(ticket) = ticket {
                    self.tickets.insert(step, ticket);
                }
            }
            _ = self.requests.told() => {}
            _ = self.account.told() => {}
            // Without its sender nobody is left to work on the run.
            _ = hint => {}
            () = timer.until(due.unwrap_or_default()), if due.is_some() => {}
        }
    }
}

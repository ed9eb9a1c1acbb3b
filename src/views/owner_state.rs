//! One owner's state, folded from the log, from which all inline views take their rows. They share
//! it because an account's erasure empties the others, and because `runs` and `open_runs` are two
//! views of the same summaries.

use crate::keychain::decode;
use claviger_domain::account::AccountEvent;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::key_ring::KeyRingEvent;
use claviger_domain::orchestration::{RunControlEvent, RunEvent};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::accounts::AccountView;
use claviger_projections::keys::KeysView;
use claviger_projections::ports::{Placed, StoredEvent};
use claviger_projections::runs::RunSummary;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The effect of an event that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Folded,
    /// The event ended its run.
    RunEnded,
    /// The run's first event is missing, so nothing was folded.
    NoFirstEvent(RunId),
}

pub(crate) struct OwnerState {
    owner: UserId,
    ring: KeysView,
    account: Option<AccountView>,
    runs: BTreeMap<RunId, RunSummary>,
    is_erased: bool,
}

impl OwnerState {
    /// The state before the owner's first event.
    pub(crate) fn new(owner: UserId) -> Self {
        let (ring, runs) = (KeysView::default(), BTreeMap::new());
        Self { owner, ring, account: None, runs, is_erased: false }
    }

    /// Folds an event of the owner, whose content was opened where it could be.
    ///
    /// # Errors
    /// When the event cannot be decoded.
    pub(crate) fn take(
        &mut self,
        event: &StoredEvent,
        content: Option<&[u8]>,
    ) -> Result<Taken, Failure> {
        match event.envelope.stream {
            StreamName::KeyRing(_) => {
                self.ring.apply(&decode::<KeyRingEvent>(event, content)?, &placed(event));
            }
            StreamName::Account(_) => {
                let decoded = decode::<AccountEvent>(event, content)?;
                self.account.get_or_insert_default().apply(&decoded, &placed(event));
                self.is_erased |= matches!(decoded, AccountEvent::AccountErased(_));
            }
            StreamName::Run(run) => {
                let decoded = decode::<RunEvent>(event, content)?;
                return Ok(self.take_run(RunId(run), &decoded, event.envelope.at));
            }
            // No view depends on requests, but `verify` must know that they can be decoded.
            StreamName::RunControl(_) => {
                decode::<RunControlEvent>(event, content)?;
            }
            StreamName::System => {}
        }
        Ok(Taken::Folded)
    }

    /// Folds a decoded event of a run.
    pub(super) fn take_run(&mut self, run: RunId, event: &RunEvent, at: Timestamp) -> Taken {
        let before = self.runs.remove(&run);
        let Some(after) = RunSummary::after(before, event, at) else {
            return Taken::NoFirstEvent(run);
        };
        let is_final = after.facts.state.is_final();
        self.runs.insert(run, after);
        if is_final { Taken::RunEnded } else { Taken::Folded }
    }

    pub(super) const fn owner(&self) -> UserId {
        self.owner
    }

    /// The owner's keys; `None` once erased.
    pub(super) fn ring(&self) -> Option<&KeysView> {
        (!self.is_erased).then_some(&self.ring)
    }

    /// The account; `None` before its first event. An erasure leaves it, without content.
    pub(crate) const fn account(&self) -> Option<&AccountView> {
        self.account.as_ref()
    }

    /// The owner's runs; none once erased.
    pub(super) fn runs(&self) -> impl Iterator<Item = &RunSummary> {
        (!self.is_erased).then_some(self.runs.values()).into_iter().flatten()
    }

    /// A run; `None` once erased.
    pub(super) fn run(&self, id: Uuid) -> Option<&RunSummary> {
        self.runs.get(&RunId(id)).filter(|_| !self.is_erased)
    }
}

const fn placed(event: &StoredEvent) -> Placed {
    let envelope = &event.envelope;
    Placed {
        id: envelope.id,
        position: envelope.position,
        version: envelope.version,
        at: envelope.at,
    }
}

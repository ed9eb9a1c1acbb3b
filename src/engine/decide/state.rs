//! What decisions about a run depend on, as plain data.

use crate::anthropic::prices::{PriceTable, Terms};
use claviger_domain::id::{BootId, RunId, StepId};
use claviger_domain::orchestration::{
    ControlRequest, Cost, Credential, PauseReason, Phase, Run, RunControl, Usage,
};
use claviger_domain::timestamp::Timestamp;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Constants while a process works on a run.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// What tokens cost.
    pub(crate) prices: Arc<PriceTable>,
    /// For how long a step is retried after the first of its failures in a row, in milliseconds.
    pub(crate) retry_budget_ms: u64,
}

/// A run in progress: its fold, and the work that this process does for it.
#[derive(Clone, Debug)]
pub(crate) struct WorkState {
    pub(crate) id: RunId,
    /// Includes the events that are decided and not yet appended.
    pub(crate) run: Run,
    pub(crate) control: RunControl,
    pub(crate) rules: Rules,
    /// Announced or under way. The call that sent something most recently is last.
    pub(crate) calls: Vec<OpenCall>,
    /// Steps that wait in the queue of their credential.
    pub(crate) queued: HashSet<StepId>,
    /// Steps for which the worker holds a ticket that no call uses yet.
    pub(crate) granted: HashSet<StepId>,
    /// No attempt is started any more, and the run pauses once none is under way.
    pub(crate) pausing: Option<PauseReason>,
    /// No attempt is started any more, because the process shuts down.
    pub(crate) is_draining: bool,
    /// When the earliest postponed attempt may start, by the timer.
    pub(crate) due: Option<u64>,
    /// The failures in a row of each step.
    pub(crate) trying: HashMap<StepId, Trying>,
}

/// The failures in a row of a step. All times are milliseconds of the timer: the time of day may
/// jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trying {
    /// Number of failures.
    pub(crate) failures: u32,
    /// When the first of them happened; later by the waits that the upstream asked for.
    pub(crate) since_ms: u64,
    /// When the next attempt may start.
    pub(crate) due_ms: u64,
}

/// A call that is announced or under way, and the text received from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenCall {
    pub(crate) step: StepId,
    pub(crate) attempt: u32,
    pub(crate) credential: Credential,
    pub(crate) model: String,
    /// Keyed hash of the request: the same for an attempt that the upstream started by itself.
    pub(crate) request_hash: String,
    pub(crate) text: String,
    pub(crate) usage: Usage,
    pub(crate) first_token_ms: Option<u64>,
}

impl WorkState {
    pub(crate) fn new(id: RunId, run: Run, control: RunControl, rules: Rules) -> Self {
        Self {
            id,
            run,
            control,
            rules,
            calls: Vec::new(),
            queued: HashSet::new(),
            granted: HashSet::new(),
            pausing: None,
            is_draining: false,
            due: None,
            trying: HashMap::new(),
        }
    }

    pub(crate) const fn is_paused(&self) -> bool {
        matches!(self.run.phase, Phase::Paused(_))
    }

    /// Claimed by this process, with no call under way: nothing is to be closed, so that it can go
    /// on without another claim.
    pub(crate) fn is_ours(&self, by: BootId) -> bool {
        self.run.phase == Phase::Running
            && self.run.owner == Some(by)
            && self.run.running().next().is_none()
    }

    /// The pending control request.
    pub(crate) fn pending(&self) -> Option<ControlRequest> {
        self.control.pending(self.run.control)
    }

    /// The run is paused, and is to be resumed: the next decision needs a new resolution.
    pub(crate) fn is_to_resume(&self) -> bool {
        self.is_paused() && self.pending() == Some(ControlRequest::Resume)
    }

    /// The run is paused, and a pending request requires more than a pause.
    pub(crate) fn is_to_leave_pause(&self) -> bool {
        let pending = self.pending();
        self.is_paused() && matches!(pending, Some(ControlRequest::Cancel | ControlRequest::Resume))
    }

    /// The worker holds a ticket for this step from now on. `false` if the step no longer waits for
    /// one: the ticket is to be given back.
    pub(crate) fn grant(&mut self, step: StepId) -> bool {
        self.queued.remove(&step) && self.granted.insert(step)
    }

    /// The call of this step, which is moved behind the others: the worker polls calls in the same
    /// order.
    pub(super) fn call_that_sent(&mut self, step: StepId) -> Option<&mut OpenCall> {
        let call = self.remove_call(step)?;
        self.calls.push(call);
        self.calls.last_mut()
    }

    pub(super) fn remove_call(&mut self, step: StepId) -> Option<OpenCall> {
        let at = self.calls.iter().position(|call| call.step == step)?;
        Some(self.calls.remove(at))
    }

    /// The cost of a call: unknown if it may have been billed for more than it reported. A call that
    /// reported no tokens cost nothing, even with a model of unknown price.
    pub(super) fn cost(
        &self,
        model: &str,
        (usage, terms, maybe_billed): (Usage, Terms, bool),
        now: Timestamp,
    ) -> Cost {
        if maybe_billed {
            return Cost::unknown();
        }
        if usage == Usage::default() && terms == Terms::Usual {
            return Cost::default();
        }
        self.rules.prices.cost(model, now, usage, terms)
    }
}

impl OpenCall {
    /// Appends text, and returns the offset at which it starts. `elapsed_ms` is the time since the
    /// call was made.
    pub(super) fn append(&mut self, text: &str, elapsed_ms: u64) -> u64 {
        self.first_token_ms.get_or_insert(elapsed_ms);
        let offset = self.text.len() as u64;
        self.text.push_str(text);
        offset
    }
}

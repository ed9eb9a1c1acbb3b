//! One decision while it is made, and its result.

use super::super::queue::Rest;
use super::state::{OpenCall, WorkState};
use crate::anthropic::prices::Terms;
use crate::anthropic::stream::MessageRequest;
use claviger_domain::id::StepId;
use claviger_domain::orchestration::{
    Credential, FailAttempt, FailureClass, Next, RunCommand, RunError, RunEvent, Step, Trouble,
};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::run_feed::DeltaItem;
use cqrs_es::Aggregate as _;

/// The result of a decision.
#[derive(Debug, PartialEq)]
pub(crate) struct Decision {
    /// Applied to the state already; to be appended, in this order.
    pub(crate) events: Vec<RunEvent>,
    /// To be carried out at once, in this order.
    pub(crate) effects: Vec<Effect>,
    /// To be made once the events are durable.
    pub(crate) calls: Vec<PreparedCall>,
    pub(crate) flow: Flow,
}

/// How the work continues once a decision is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Wait for the next input.
    Continues,
    /// The run has ended or is paused: this process is done with it.
    Rests,
    /// Decide again, before anything is appended, once each wanted ticket is taken or queued for.
    NeedsTickets,
}

/// An action of the worker on its queue, its calls or the text of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Take a ticket for this step if one is free, else queue for it, and record which in the
    /// state.
    TakeTicket { step: StepId, credential: Credential, model: String },
    /// Give back all unused tickets and every place in the queue.
    LeaveQueue,
    /// What a limit belongs to rests.
    Rest(Rest),
    /// The credential belongs to this organisation.
    Learn { credential: Credential, organization: String },
    /// Drop the call of this step and its ticket.
    DropCall(StepId),
    /// Persist and publish this text.
    WriteText(DeltaItem),
}

/// A call that is made once the event that announces it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PreparedCall {
    pub(crate) step: StepId,
    pub(crate) credential: Credential,
    pub(crate) request: MessageRequest,
    /// The step before the attempt.
    pub(crate) before: Step,
}

/// A decision while it is made.
pub(super) struct Turn<'a> {
    pub(super) state: &'a mut WorkState,
    events: Vec<RunEvent>,
    effects: Vec<Effect>,
    calls: Vec<PreparedCall>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(state: &'a mut WorkState) -> Self {
        Self { state, events: Vec::new(), effects: Vec::new(), calls: Vec::new() }
    }

    pub(super) fn end(self, flow: Flow) -> Decision {
        let Self { events, effects, calls, .. } = self;
        Decision { events, effects, calls, flow }
    }

    /// Decides a command and applies its events.
    pub(super) fn take(&mut self, command: impl Into<RunCommand>) -> Result<(), RunError> {
        for event in command.into().decide(&self.state.run)? {
            self.state.run.apply(event.clone());
            self.events.push(event);
        }
        Ok(())
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// The announced call takes the step's ticket.
    pub(super) fn announce(&mut self, open: OpenCall, request: MessageRequest, before: Step) {
        let OpenCall { step, credential, .. } = open;
        self.state.granted.remove(&step);
        self.state.calls.push(open);
        self.calls.push(PreparedCall { step, credential, request, before });
    }

    /// A run that starts nothing more needs no ticket.
    pub(super) fn leave_queue(&mut self) {
        if !(self.state.queued.is_empty() && self.state.granted.is_empty()) {
            self.state.queued.clear();
            self.state.granted.clear();
            self.effect(Effect::LeaveQueue);
        }
    }

    /// Ends every call under way with this failure, and records the usage of each.
    pub(super) fn end_calls(
        &mut self,
        ending: (FailureClass, Next),
        trouble: &str,
        now: Timestamp,
    ) -> Result<(), RunError> {
        self.leave_queue();
        for call in std::mem::take(&mut self.state.calls) {
            self.close(&call, ending, trouble, now)?;
            self.effect(Effect::DropCall(call.step));
        }
        Ok(())
    }

    /// Records that an attempt ended early. It may have been billed for more than it reported.
    pub(super) fn close(
        &mut self,
        call: &OpenCall,
        (class, next): (FailureClass, Next),
        trouble: &str,
        now: Timestamp,
    ) -> Result<(), RunError> {
        self.take(FailAttempt {
            run: self.state.id,
            step: call.step,
            attempt: call.attempt,
            class,
            status: None,
            partial_bytes: call.text.len() as u64,
            usage: call.usage,
            cost: self.state.cost(&call.model, (call.usage, Terms::Usual, true), now),
            maybe_billed: true,
            next,
            until: None,
            trouble: Trouble { message: trouble.to_owned(), upstream_request_id: None },
        })
    }

    /// Ends every call under way, because the run ends.
    pub(super) fn stop_calls(&mut self, now: Timestamp) -> Result<(), RunError> {
        let trouble = "the orchestration was stopped while this call was under way";
        self.end_calls((FailureClass::Cancelled, Next::GiveUp), trouble, now)
    }
}

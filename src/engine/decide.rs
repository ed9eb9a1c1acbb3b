//! What happens next to a run that this process works on: decided from its state, written down in one append.

use super::call::Call;
use super::queue::{Lane, Ticket};
use super::reaction::{Failed, Tries, react};
use super::worker::Worker;
use crate::anthropic::stream::{CallEnd, CallFailure, CallItem, MessageRequest};
use crate::bus::UserKeys;
use claviger_domain::id::{StepId, write_hex};
use claviger_domain::orchestration::{
    CancelRun, CompleteStep, ControlRequest, Cost, Credential, FailAttempt, FailRun, FailureClass,
    FinishRun, Next, PauseReason, PauseRun, Phase, PlanSteps, PlannedStep, Reply, Resolution,
    ResumeRun, RunCommand, RunError, StartAttempt, StepState, Trouble, Usage,
};
use claviger_domain::pattern::{End, Judgement, NextStep, judge, plan, prompt, system_prompt};
use claviger_domain::timestamp::Timestamp;
use cqrs_es::Aggregate as _;

/// What a decision may rely on besides the state.
pub(super) struct Given {
    pub(super) now: Timestamp,
    /// The owner's keys, for keyed hashes.
    pub(super) keys: UserKeys,
    /// What calls are made with; `None` if it can't be used any more.
    pub(super) credential: Option<Credential>,
    /// Looked for anew, for a run that is to go on.
    pub(super) resolution: Option<Resolution>,
}

/// Whether there is more to do once the decision is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Yes.
    Goes,
    /// The run has ended, or stands still.
    Rests,
}

/// A call that is made once its announcement is durable.
pub(super) struct Announced {
    pub(super) step: StepId,
    pub(super) attempt: u32,
    pub(super) credential: Credential,
    pub(super) request: MessageRequest,
    pub(super) request_hash: String,
    pub(super) ticket: Ticket,
}

impl Worker {
    /// Takes a command's events in: they are durable with the next append, before anything is done about them.
    pub(super) fn take(&mut self, command: impl Into<RunCommand>) -> Result<(), RunError> {
        for event in command.into().decide(&self.run)? {
            self.run.apply(event.clone());
            self.batch.push(event);
        }
        Ok(())
    }

    /// Decides everything that can be decided now.
    pub(super) fn decide(&mut self, given: &Given) -> Result<Flow, RunError> {
        if self.hear_asks(given)? == Flow::Rests {
            return Ok(Flow::Rests);
        }
        loop {
            let plan = plan(&self.run);
            if let Some(end) = plan.end {
                self.end(end, given.now)?;
                return Ok(Flow::Rests);
            }
            if plan.steps.is_empty() && plan.fallbacks.is_empty() {
                self.start_ready(&plan.ready, given)?;
                break;
            }
            let steps = plan.steps.iter().map(|step| self.planned(step)).collect();
            let fallbacks = plan
                .fallbacks
                .into_iter()
                .map(|fall| (fall.step, fall.fallback, fall.name))
                .collect();
            self.take(PlanSteps { run: self.id, fallbacks, steps })?;
        }
        match self.pausing {
            Some(reason) if self.calls.is_empty() && self.announced.is_empty() => {
                self.take(PauseRun { run: self.id, reason, control: self.control.version() })?;
                Ok(Flow::Rests)
            }
            Some(_) | None => Ok(Flow::Goes),
        }
    }

    /// What was asked from outside.
    fn hear_asks(&mut self, given: &Given) -> Result<Flow, RunError> {
        let (pending, control) = (self.control.pending(self.run.control), self.control.version());
        let is_paused = matches!(self.run.phase, Phase::Paused(_));
        match pending {
            Some(ControlRequest::Cancel) => {
                self.stop_calls(given.now)?;
                self.take(CancelRun { run: self.id, control })?;
                return Ok(Flow::Rests);
            }
            Some(ControlRequest::Resume) if is_paused => {
                let Some(resolution) = given.resolution.clone() else { return Ok(Flow::Rests) };
                self.take(ResumeRun { run: self.id, control, resolution })?;
                self.pausing = None;
            }
            Some(ControlRequest::Pause) if !is_paused => {
                self.pausing = self.pausing.or(Some(PauseReason::Requested))
            }
            // A pause that was taken back before anybody came to it.
            Some(ControlRequest::Resume) => {
                self.pausing = self.pausing.filter(|reason| *reason != PauseReason::Requested)
            }
            Some(ControlRequest::Pause) | None => {
                if is_paused {
                    return Ok(Flow::Rests);
                }
            }
        }
        let waits = |step: &claviger_domain::orchestration::Step| {
            step.state == StepState::Waiting { until: None }
        };
        if self.run.steps.iter().any(waits) {
            // Also after a crash between the failure and the pause.
            self.pausing = Some(PauseReason::SpendLimit);
        }
        Ok(Flow::Goes)
    }

    fn planned(&self, step: &NextStep) -> PlannedStep {
        let settings = self.run.settings.as_ref();
        let agent = step.agent.and_then(|place| self.run.definition.as_ref()?.agent(place));
        let model = agent
            .and_then(|agent| agent.model.clone())
            .or(settings.map(|settings| settings.model.clone()));
        let model = model.unwrap_or_default();
        let wanted = agent
            .and_then(|agent| agent.max_tokens)
            .or(settings.map(|settings| settings.max_tokens))
            .unwrap_or(1);
        let most = self
            .shared
            .parts
            .reads
            .models
            .max_output_tokens(&model)
            .and_then(|most| u32::try_from(most).ok());
        PlannedStep {
            step: StepId(self.shared.effects().ids.next()),
            agent: step.agent,
            role: agent.map(|agent| agent.role).unwrap_or_default(),
            purpose: step.purpose,
            round: step.round,
            item: step.item,
            max_tokens: most.map_or(wanted, |most| wanted.min(most)),
            model,
        }
    }

    fn end(&mut self, end: End, now: Timestamp) -> Result<(), RunError> {
        self.stop_calls(now)?;
        match end {
            End::Completed => self.take(FinishRun { run: self.id }),
            End::Failed { code, step, message } => {
                self.take(FailRun { run: self.id, code, step, message })
            }
        }
    }

    /// Starts what may begin, as far as there is room and the credential can be used.
    fn start_ready(&mut self, ready: &[StepId], given: &Given) -> Result<(), RunError> {
        self.due = None;
        if self.pausing.is_some() || self.is_draining {
            self.leave_queue();
            return Ok(());
        }
        let most = self.run.settings.as_ref().map_or(1, |settings| settings.max_concurrency);
        for step in ready {
            if let Some(StepState::Waiting { until: Some(until) }) =
                self.run.step(*step).map(|step| step.state)
                && until > given.now
            {
                self.due = Some(self.due.map_or(until, |due| due.min(until)));
                continue;
            }
            let Some(credential) = given.credential else {
                self.pausing = Some(PauseReason::KeyUnavailable);
                self.leave_queue();
                return Ok(());
            };
            let taken =
                self.calls.len() + self.announced.len() + self.queued.len() + self.tickets.len();
            let has_ticket = self.tickets.iter().position(|(of, _)| of == step);
            if has_ticket.is_none()
                && (self.queued.contains(step)
                    || taken >= usize::try_from(most).unwrap_or(usize::MAX))
            {
                continue;
            }
            let lane: Lane = (credential.source, credential.key);
            let ticket = match has_ticket {
                Some(at) => Some(self.tickets.remove(at).1),
                None => self.shared.queue.try_take(lane),
            };
            match ticket {
                Some(ticket) => self.announce(*step, credential, ticket, given)?,
                None => self.stand_in_queue(*step, lane),
            }
        }
        Ok(())
    }

    fn announce(
        &mut self,
        id: StepId,
        credential: Credential,
        ticket: Ticket,
        given: &Given,
    ) -> Result<(), RunError> {
        let step = self.run.step(id).ok_or(RunError::NoStep)?;
        // Without a definition nothing is planned, so there is one.
        let definition = self.run.definition.as_ref().ok_or(RunError::NoStep)?;
        let told = prompt(&self.run, step).ok_or(RunError::NoStep)?;
        let request = MessageRequest {
            model: step.planned.model.clone(),
            max_tokens: step.planned.max_tokens,
            system: system_prompt(definition, step),
            blocks: told.blocks,
            schema: told.schema,
        };
        let body = request.to_json().to_string();
        let hash = given.keys.index.request_hash("messages", body.as_bytes());
        let mut request_hash = String::with_capacity(2 * hash.len());
        // A string takes whatever is written to it.
        let _ = write_hex(&mut request_hash, &hash);
        self.first_tried.entry(id).or_insert(given.now);
        self.take(StartAttempt {
            run: self.id,
            step: id,
            credential,
            request_hash: request_hash.clone(),
        })?;
        let attempt = self.run.step(id).map_or(1, |step| step.attempts);
        self.announced.push(Announced {
            step: id,
            attempt,
            credential,
            request,
            request_hash,
            ticket,
        });
        Ok(())
    }

    /// Ends every call under way, and says what it used.
    pub(super) fn stop_calls(&mut self, now: Timestamp) -> Result<(), RunError> {
        self.leave_queue();
        for call in std::mem::take(&mut self.calls) {
            let trouble = "the orchestration was stopped while this call was under way";
            self.close(&call, (FailureClass::Cancelled, Next::GiveUp), trouble, now)?;
        }
        Ok(())
    }

    /// Ends every call under way at shutdown: whoever works on the run next makes them anew.
    pub(super) fn interrupt_calls(&mut self, now: Timestamp) -> Result<(), RunError> {
        self.leave_queue();
        for call in std::mem::take(&mut self.calls) {
            let trouble =
                "the server went down while this call was under way: the call is made anew";
            self.close(&call, (FailureClass::Interrupted, Next::Retry { at: now }), trouble, now)?;
        }
        Ok(())
    }

    fn close(
        &mut self,
        call: &Call,
        (class, next): (FailureClass, Next),
        trouble: &str,
        now: Timestamp,
    ) -> Result<(), RunError> {
        self.take(FailAttempt {
            run: self.id,
            step: call.step,
            attempt: call.attempt,
            class,
            status: None,
            partial_bytes: call.text.len() as u64,
            usage: call.usage,
            cost: self.cost(call, (call.usage, true), now),
            maybe_billed: true,
            next,
            trouble: Trouble { message: trouble.to_owned(), upstream_request_id: None },
        })
    }

    /// What a call cost. One that told nothing cost nothing, whatever its model, unless it may have been billed.
    fn cost(&self, call: &Call, (usage, maybe_billed): (Usage, bool), now: Timestamp) -> Cost {
        if usage == Usage::default() {
            return if maybe_billed { Cost::unknown() } else { Cost::default() };
        }
        self.shared.parts.prices.cost(&call.model, now, usage)
    }

    /// Takes in what a call told. Text is the caller's to write.
    pub(super) fn heard(
        &mut self,
        step: StepId,
        item: Option<CallItem>,
        now: Timestamp,
    ) -> Result<(), RunError> {
        let Some(at) = self.calls.iter().position(|call| call.step == step) else { return Ok(()) };
        match item {
            Some(CallItem::Started { usage, .. } | CallItem::Usage(usage)) => {
                if let Some(call) = self.calls.get_mut(at) {
                    call.usage = usage;
                }
                Ok(())
            }
            Some(CallItem::Text(_)) => Ok(()),
            Some(CallItem::Restarted { usage, void, .. }) => self.restarted(at, usage, void, now),
            Some(CallItem::Ended(end)) => {
                let call = self.calls.remove(at);
                self.ended(&call, &end, now)
            }
            Some(CallItem::Failed(failure)) => {
                let call = self.calls.remove(at);
                self.failed(&call, &failure, now)
            }
            None => {
                let call = self.calls.remove(at);
                let failure =
                    CallFailure::bare(FailureClass::Connection, "the call ended without an answer");
                self.failed(&call, &failure, now)
            }
        }
    }

    /// The upstream began again by itself: the attempt is over, and the next is under way already.
    fn restarted(
        &mut self,
        at: usize,
        usage: Usage,
        void: Usage,
        now: Timestamp,
    ) -> Result<(), RunError> {
        let mut call = self.calls.remove(at);
        call.usage = void;
        let trouble = "the claude program began its answer again: what it had said is void";
        self.close(&call, (FailureClass::Restarted, Next::Retry { at: now }), trouble, now)?;
        let (step, credential, request_hash) =
            (call.step, call.credential, call.request_hash.clone());
        self.take(StartAttempt { run: self.id, step, credential, request_hash })?;
        call.begin_again(usage);
        self.calls.push(call);
        Ok(())
    }

    fn ended(&mut self, call: &Call, end: &CallEnd, now: Timestamp) -> Result<(), RunError> {
        let step = self.run.step(call.step).ok_or(RunError::NoStep)?;
        let upstream_request_id = end.origin.request_id.clone();
        let cost = self.cost(call, (end.usage, false), now);
        let (why, next) = match judge(step, &call.text) {
            Judgement::Use => {
                return self.take(CompleteStep {
                    run: self.id,
                    step: call.step,
                    attempt: call.attempt,
                    reply: Reply { text: call.text.clone(), upstream_request_id },
                    stop_reason: end.stop_reason,
                    usage: end.usage,
                    cost,
                    first_token_ms: call.first_token_ms,
                    duration_ms: call.elapsed_ms(),
                });
            }
            Judgement::Repair(why) => (why, Next::Retry { at: now }),
            Judgement::Reject(why) => (why, Next::GiveUp),
        };
        self.take(FailAttempt {
            run: self.id,
            step: call.step,
            attempt: call.attempt,
            class: FailureClass::InvalidOutput,
            status: Some(200),
            partial_bytes: call.text.len() as u64,
            usage: end.usage,
            cost,
            maybe_billed: false,
            next,
            trouble: Trouble { message: why, upstream_request_id },
        })
    }

    fn failed(
        &mut self,
        call: &Call,
        failure: &CallFailure,
        now: Timestamp,
    ) -> Result<(), RunError> {
        let step = self.run.step(call.step).ok_or(RunError::NoStep)?;
        let since = self.first_tried.get(&call.step).copied().unwrap_or(now);
        let tries = Tries {
            attempts: step.attempts,
            counted: step.counted,
            max: self.run.settings.as_ref().map_or(1, |settings| settings.max_attempts),
            spent_ms: now.ms_since(since),
            budget_ms: u64::try_from(self.shared.parts.settings.retry_budget.as_millis())
                .unwrap_or(u64::MAX),
        };
        let CallFailure { class, until, retry_after_ms, should_retry, .. } = *failure;
        let reaction = react(
            &Failed { class, until, retry_after_ms, should_retry },
            tries,
            now,
            self.shared.random(),
        );
        if let Some(until) = reaction.park {
            self.shared.queue.park((call.credential.source, call.credential.key), until);
        }
        // What was told before the failure counts, if the failure itself doesn't say more.
        let usage = if failure.usage == Usage::default() { call.usage } else { failure.usage };
        self.take(FailAttempt {
            run: self.id,
            step: call.step,
            attempt: call.attempt,
            class,
            status: failure.status,
            partial_bytes: call.text.len() as u64,
            usage,
            cost: self.cost(call, (usage, failure.maybe_billed), now),
            maybe_billed: failure.maybe_billed,
            next: reaction.next,
            trouble: Trouble {
                message: failure.message.clone(),
                upstream_request_id: failure.origin.request_id.clone(),
            },
        })
    }
}

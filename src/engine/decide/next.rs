//! What follows from the state of a run: control requests, the plan, and the attempts that start.

use super::super::queue::{Rest, lane_of};
use super::state::{OpenCall, Trying, WorkState};
use super::turn::{Decision, Effect, Flow, Turn};
use crate::anthropic::stream::MessageRequest;
use claviger_domain::id::{StepId, write_hex};
use claviger_domain::orchestration::{
    CancelRun, ControlRequest, Credential, FailRun, FailureClass, FinishRun, PauseReason, PauseRun,
    PlanSteps, PlannedStep, Resolution, ResumeRun, Run, RunError, StartAttempt, Step, StepState,
    Usage,
};
use claviger_domain::pattern::{End, NextStep, Plan, plan, prompt, room, system_prompt};
use claviger_domain::timestamp::Timestamp;
use claviger_vault::IndexKey;

/// The inputs of a decision besides the state. The two functions only look up or supply a value.
pub(crate) struct Given<'a> {
    pub(crate) now: Timestamp,
    /// The same moment, by the timer.
    pub(crate) timer_ms: u64,
    /// Makes the keyed hash of a request.
    pub(crate) index: &'a IndexKey,
    /// The credential for calls; `None` if the chosen one is no longer usable.
    pub(crate) credential: Option<Credential>,
    /// A new resolution, if [`WorkState::is_to_resume`].
    pub(crate) resolution: Option<&'a Resolution>,
    /// Most output tokens of a model; `None` if unknown.
    pub(crate) max_output_tokens: &'a dyn Fn(&str) -> Option<u32>,
    /// Supplies the id of the next planned step.
    pub(crate) next_id: &'a dyn Fn() -> StepId,
}

/// Decides everything that can be decided now.
pub(crate) fn decide(state: &mut WorkState, given: &Given<'_>) -> Result<Decision, RunError> {
    let mut turn = Turn::new(state);
    if follow_requests(&mut turn, given)? == Flow::Rests {
        return Ok(turn.end(Flow::Rests));
    }
    loop {
        let Plan { fallbacks, steps, ready, end } = plan(&turn.state.run);
        if let Some(end) = end {
            end_run(&mut turn, end, given.now)?;
            return Ok(turn.end(Flow::Rests));
        }
        if steps.is_empty() && fallbacks.is_empty() {
            if start_ready(&mut turn, &ready, given)? == Flow::NeedsTickets {
                return Ok(turn.end(Flow::NeedsTickets));
            }
            break;
        }
        let steps = steps.iter().map(|step| planned(&turn.state.run, step, given)).collect();
        let fallbacks =
            fallbacks.into_iter().map(|fall| (fall.step, fall.fallback, fall.name)).collect();
        turn.take(PlanSteps { run: turn.state.id, fallbacks, steps })?;
    }
    match turn.state.pausing {
        Some(reason) if turn.state.calls.is_empty() => {
            let control = turn.state.control.version();
            turn.take(PauseRun { run: turn.state.id, reason, control })?;
            Ok(turn.end(Flow::Rests))
        }
        Some(_) | None => Ok(turn.end(Flow::Continues)),
    }
}

/// Acts on the pending control request.
fn follow_requests(turn: &mut Turn<'_>, given: &Given<'_>) -> Result<Flow, RunError> {
    let (run, control) = (turn.state.id, turn.state.control.version());
    let is_paused = turn.state.is_paused();
    match turn.state.pending() {
        Some(ControlRequest::Cancel) => {
            turn.stop_calls(given.now)?;
            turn.take(CancelRun { run, control })?;
            return Ok(Flow::Rests);
        }
        Some(ControlRequest::Resume) if is_paused => {
            let Some(resolution) = given.resolution.cloned() else { return Ok(Flow::Rests) };
            turn.take(ResumeRun { run, control, resolution })?;
            turn.state.pausing = None;
            // The budget begins anew.
            turn.state.trying.clear();
        }
        Some(ControlRequest::Pause) if !is_paused => {
            turn.state.pausing.get_or_insert(PauseReason::Requested);
        }
        // The requested pause was withdrawn before it took effect.
        Some(ControlRequest::Resume) => {
            turn.state.pausing.take_if(|reason| *reason == PauseReason::Requested);
        }
        Some(ControlRequest::Pause) | None => {
            if is_paused {
                return Ok(Flow::Rests);
            }
        }
    }
    // Derived from the steps, so it also holds after a crash between the failure and the pause.
    let steps = &turn.state.run.steps;
    let stalled = steps.iter().find(|step| step.is_crashing());
    if let Some(step) = stalled.or_else(|| steps.iter().find(|step| step.is_stalled())) {
        let reason = if step.is_crashing() { PauseReason::Interrupted } else { hindrance(step) };
        turn.state.pausing = Some(reason);
    }
    Ok(Flow::Continues)
}

/// Events from before say less.
fn hindrance(step: &Step) -> PauseReason {
    step.hindrance().unwrap_or(PauseReason::SpendLimit)
}

fn planned(run: &Run, step: &NextStep, given: &Given<'_>) -> PlannedStep {
    let settings = run.settings.as_ref();
    let agent = step.agent.and_then(|place| run.definition.as_ref()?.agent(place));
    let model = agent
        .and_then(|agent| agent.model.clone())
        .or(settings.map(|settings| settings.model.clone()))
        .unwrap_or_default();
    let wanted = agent
        .and_then(|agent| agent.max_tokens)
        .or(settings.map(|settings| settings.max_tokens))
        .unwrap_or(1);
    PlannedStep {
        step: (given.next_id)(),
        agent: step.agent,
        role: agent.map(|agent| agent.role).unwrap_or_default(),
        purpose: step.purpose,
        round: step.round,
        item: step.item,
        max_tokens: (given.max_output_tokens)(&model).map_or(wanted, |most| wanted.min(most)),
        model,
    }
}

fn end_run(turn: &mut Turn<'_>, end: End, now: Timestamp) -> Result<(), RunError> {
    turn.stop_calls(now)?;
    let run = turn.state.id;
    match end {
        End::Completed => turn.take(FinishRun { run }),
        End::Failed { code, step, message } => turn.take(FailRun { run, code, step, message }),
    }
}

/// Starts the steps that may start, within the run's concurrency and as far as there are tickets.
/// Nothing is announced until every wanted ticket is taken or queued for, so that attempts are
/// announced in the order of the plan.
fn start_ready(turn: &mut Turn<'_>, ready: &[StepId], given: &Given<'_>) -> Result<Flow, RunError> {
    turn.state.due = None;
    if turn.state.pausing.is_some() || turn.state.is_draining {
        turn.leave_queue();
        return Ok(Flow::Continues);
    }
    let state = &mut *turn.state;
    let most = state.run.settings.as_ref().map_or(1, |settings| settings.max_concurrency);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut taken = state.calls.len() + state.queued.len() + state.granted.len();
    let (mut starting, mut wanted, mut rests) = (Vec::new(), Vec::new(), Vec::new());
    for step in ready {
        let Some(known) = state.run.step(*step) else { continue };
        let model = known.planned.model.clone();
        if let StepState::Waiting { until: Some(until) } = known.state {
            let (trying, rest) = match state.trying.get(step) {
                Some(trying) => (*trying, None),
                None => remembered(known, until, given),
            };
            state.trying.insert(*step, trying);
            rests.extend(rest.map(Effect::Rest));
            if trying.due_ms > given.timer_ms {
                state.due = Some(state.due.map_or(trying.due_ms, |due| due.min(trying.due_ms)));
                continue;
            }
        }
        let Some(credential) = given.credential else {
            state.pausing = Some(PauseReason::KeyUnavailable);
            turn.leave_queue();
            return Ok(Flow::Continues);
        };
        if state.granted.contains(step) {
            starting.push((*step, credential));
        } else if !state.queued.contains(step) && taken < most {
            taken += 1;
            wanted.push(Effect::TakeTicket { step: *step, credential, model });
        }
    }
    if !wanted.is_empty() {
        for effect in rests.into_iter().chain(wanted) {
            turn.effect(effect);
        }
        return Ok(Flow::NeedsTickets);
    }
    for (step, credential) in starting {
        announce(turn, step, credential, given)?;
    }
    Ok(Flow::Continues)
}

/// What the log says about a wait that began in another process: a failure, and when the next attempt
/// may start. What a limit belongs to rests in this process too, unless the run uses another
/// credential by now.
fn remembered(step: &Step, until: Timestamp, given: &Given<'_>) -> (Trying, Option<Rest>) {
    let until_ms = given.timer_ms.saturating_add(until.ms_since(given.now));
    let trying = Trying { failures: 1, since_ms: given.timer_ms, due_ms: until_ms };
    if step.failed_as != Some(FailureClass::RateLimit) {
        return (trying, None);
    }
    let rest = step.credential.filter(|credential| given.credential == Some(*credential));
    let rest = rest.map(|credential| Rest {
        lane: lane_of(credential),
        version: credential.secret_version,
        organization: None,
        model: step.planned.model.clone(),
        until_ms,
    });
    (Trying { due_ms: given.timer_ms, ..trying }, rest)
}

fn announce(
    turn: &mut Turn<'_>,
    id: StepId,
    credential: Credential,
    given: &Given<'_>,
) -> Result<(), RunError> {
    let run = &turn.state.run;
    let step = run.step(id).ok_or(RunError::NoStep)?;
    // Without a definition nothing is planned, so there is one.
    let definition = run.definition.as_ref().ok_or(RunError::NoStep)?;
    let prompt = prompt(run, step).ok_or(RunError::NoStep)?;
    let request = MessageRequest {
        model: step.planned.model.clone(),
        max_tokens: room(step, (given.max_output_tokens)(&step.planned.model)),
        system: system_prompt(definition, step),
        blocks: prompt.blocks,
        schema: prompt.schema,
    };
    let request_hash = request_hash(given.index, &request);
    let before = step.clone();
    turn.take(StartAttempt {
        run: turn.state.id,
        step: id,
        credential,
        request_hash: request_hash.clone(),
    })?;
    let open = OpenCall {
        step: id,
        attempt: turn.state.run.step(id).map_or(1, |step| step.attempts),
        credential,
        model: request.model.clone(),
        request_hash,
        text: String::new(),
        usage: Usage::default(),
        first_token_ms: None,
    };
    turn.announce(open, request, before);
    Ok(())
}

/// Keyed hash of a request's body, in hexadecimal digits.
fn request_hash(index: &IndexKey, request: &MessageRequest) -> String {
    let hash = index.request_hash("messages", request.to_json().to_string().as_bytes());
    let mut hex = String::with_capacity(2 * hash.len());
    // Writing to a string never fails.
    let _ = write_hex(&mut hex, &hash);
    hex
}

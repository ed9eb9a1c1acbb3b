//! What follows from the items of a call.

use super::super::queue::{Rest, lane_of};
use super::super::retry::{Failed, RetryDecision, Tries, decide_retry};
use super::state::{OpenCall, Trying, WorkState};
use super::turn::{Decision, Effect, Flow, Turn};
use crate::anthropic::stream::{CallEnd, CallFailure, CallItem};
use claviger_domain::id::StepId;
use claviger_domain::orchestration::{
    CompleteStep, FailAttempt, FailureClass, Next, PauseReason, Reply, RunError, StartAttempt,
    Step, Trouble, Usage,
};
use claviger_domain::pattern::{Judgement, judge};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::run_feed::DeltaItem;

/// An item of a call, and when it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) step: StepId,
    /// `None` from a call that ended without a last item.
    pub(crate) item: Option<CallItem>,
    pub(crate) now: Timestamp,
    /// The same moment, by the timer.
    pub(crate) timer_ms: u64,
    /// Since the call was made, or since the upstream restarted it.
    pub(crate) elapsed_ms: u64,
    /// Any number: spreads retries.
    pub(crate) random: u64,
}

/// The moment of a failure.
#[derive(Clone, Copy)]
struct At {
    now: Timestamp,
    timer_ms: u64,
    random: u64,
}

/// Applies an item of a call. Events follow if the attempt ended or the upstream restarted it.
pub(crate) fn receive(state: &mut WorkState, received: Received) -> Result<Decision, RunError> {
    let Received { step, item, now, timer_ms, elapsed_ms, random } = received;
    let at = At { now, timer_ms, random };
    let mut turn = Turn::new(state);
    let Some(call) = turn.state.call_that_sent(step) else { return Ok(turn.end(Flow::Continues)) };
    match item {
        Some(CallItem::Started { usage, .. } | CallItem::Usage(usage)) => call.usage = usage,
        Some(CallItem::Text(text)) => {
            let offset = call.append(&text, elapsed_ms);
            let item = DeltaItem { step, attempt: call.attempt, offset, text };
            turn.effect(Effect::WriteText(item));
        }
        Some(CallItem::Restarted { usage, void, .. }) => {
            restarted(&mut turn, step, (usage, void), now)?;
        }
        Some(CallItem::Ended(end)) => ended(&mut turn, step, &end, (now, elapsed_ms))?,
        Some(CallItem::Failed(failure)) => failed(&mut turn, step, &failure, at)?,
        None => {
            let failure =
                CallFailure::bare(FailureClass::Connection, "the call ended without an answer");
            failed(&mut turn, step, &failure, at)?;
        }
    }
    Ok(turn.end(Flow::Continues))
}

/// Ends every call under way at shutdown: the next owner of the run retries them.
pub(crate) fn interrupt(state: &mut WorkState, now: Timestamp) -> Result<Decision, RunError> {
    let mut turn = Turn::new(state);
    let trouble = "the server shut down while this call was under way: the call is retried";
    turn.end_calls((FailureClass::Interrupted, Next::Retry { at: now }), trouble, now)?;
    Ok(turn.end(Flow::Rests))
}

/// Ends every call under way and pauses the run, because its user was deactivated. The calls are made
/// again once the run is resumed.
pub(crate) fn suspend(state: &mut WorkState, now: Timestamp) -> Result<Decision, RunError> {
    let mut turn = Turn::new(state);
    let trouble = "the account was deactivated while this call was under way";
    turn.end_calls((FailureClass::Interrupted, Next::Retry { at: now }), trouble, now)?;
    turn.state.pausing.get_or_insert(PauseReason::KeyUnavailable);
    Ok(turn.end(Flow::Continues))
}

/// The upstream restarted the reply by itself: the attempt has ended, and the next one is already
/// under way.
fn restarted(
    turn: &mut Turn<'_>,
    step: StepId,
    (usage, void): (Usage, Usage),
    now: Timestamp,
) -> Result<(), RunError> {
    let Some(mut call) = turn.state.remove_call(step) else { return Ok(()) };
    call.usage = void;
    let trouble = "the claude program restarted its answer: the text before that is void";
    turn.close(&call, (FailureClass::Restarted, Next::Retry { at: now }), trouble, now)?;
    if turn.state.run.step(step).is_some_and(Step::is_stalled) {
        // It restarted too often: the run pauses.
        turn.effect(Effect::DropCall(step));
        return Ok(());
    }
    turn.take(StartAttempt {
        run: turn.state.id,
        step,
        credential: call.credential,
        request_hash: call.request_hash.clone(),
    })?;
    turn.state.calls.push(OpenCall {
        attempt: call.attempt + 1,
        text: String::new(),
        usage,
        first_token_ms: None,
        ..call
    });
    Ok(())
}

/// A complete message: the step completes, or its attempt fails because the reply is not in the
/// required form.
fn ended(
    turn: &mut Turn<'_>,
    id: StepId,
    end: &CallEnd,
    (now, elapsed_ms): (Timestamp, u64),
) -> Result<(), RunError> {
    let Some(call) = turn.state.remove_call(id) else { return Ok(()) };
    turn.effect(Effect::DropCall(id));
    let (run, attempt) = (turn.state.id, call.attempt);
    if let Some(organization) = end.origin.organization_id.clone() {
        turn.effect(Effect::Learn { credential: call.credential, organization });
    }
    turn.state.trying.remove(&id);
    let step = turn.state.run.step(id).ok_or(RunError::NoStep)?;
    let upstream_request_id = end.origin.request_id.clone();
    let cost = turn.state.cost(&call.model, (end.usage, end.terms, false), now);
    let (why, next) = match judge(step, &call.text) {
        Judgement::Use => {
            return turn.take(CompleteStep {
                run,
                step: id,
                attempt,
                reply: Reply { text: call.text, upstream_request_id },
                stop_reason: end.stop_reason,
                usage: end.usage,
                cost,
                first_token_ms: call.first_token_ms,
                duration_ms: elapsed_ms,
            });
        }
        Judgement::Repair(why) => (why, Next::Retry { at: now }),
        Judgement::Reject(why) => (why, Next::GiveUp),
    };
    turn.take(FailAttempt {
        run,
        step: id,
        attempt,
        class: FailureClass::InvalidOutput,
        status: Some(200),
        partial_bytes: call.text.len() as u64,
        usage: end.usage,
        cost,
        maybe_billed: false,
        next,
        until: None,
        trouble: Trouble { message: why, upstream_request_id },
    })
}

fn failed(turn: &mut Turn<'_>, id: StepId, failure: &CallFailure, at: At) -> Result<(), RunError> {
    let Some(call) = turn.state.remove_call(id) else { return Ok(()) };
    // A failure that reports no tokens doesn't discard those that the call reported before.
    let usage = if failure.usage == Usage::default() { call.usage } else { failure.usage };
    let retry = retry_of(turn, &call, failure, usage, at)?;
    if retry.is_shared {
        // Before the call's ticket is given back, which would let the next call start.
        turn.effect(Effect::Rest(Rest {
            lane: lane_of(call.credential),
            version: call.credential.secret_version,
            organization: failure.origin.organization_id.clone(),
            model: call.model.clone(),
            until_ms: at.timer_ms.saturating_add(retry.wait_ms),
        }));
    }
    turn.effect(Effect::DropCall(id));
    turn.take(FailAttempt {
        run: turn.state.id,
        step: id,
        attempt: call.attempt,
        class: failure.class,
        status: failure.status,
        partial_bytes: call.text.len() as u64,
        usage,
        cost: turn.state.cost(&call.model, (usage, failure.terms, failure.maybe_billed), at.now),
        maybe_billed: failure.maybe_billed,
        next: retry.next,
        until: retry.until,
        trouble: Trouble {
            message: failure.message.clone(),
            upstream_request_id: failure.origin.request_id.clone(),
        },
    })
}

/// Decides about the next attempt, and remembers when it is due. A wait that is shared is left to the
/// queue, where a new secret ends it.
fn retry_of(
    turn: &mut Turn<'_>,
    call: &OpenCall,
    failure: &CallFailure,
    usage: Usage,
    at: At,
) -> Result<RetryDecision, RunError> {
    let state = &mut *turn.state;
    let counted = state.run.step(call.step).ok_or(RunError::NoStep)?.counted;
    let max = state.run.settings.as_ref().map_or(1, |settings| settings.max_attempts);
    let first = Trying { failures: 0, since_ms: at.timer_ms, due_ms: at.timer_ms };
    let trying = state.trying.entry(call.step).or_insert(first);
    trying.failures = trying.failures.saturating_add(u32::from(counts_as_failure(failure.class)));
    let tries = Tries {
        failures: trying.failures,
        counted,
        max,
        spent_ms: at.timer_ms.saturating_sub(trying.since_ms),
        budget_ms: state.rules.retry_budget_ms,
    };
    let failed = Failed {
        class: failure.class,
        status: failure.status,
        is_answered: usage != Usage::default() || !call.text.is_empty(),
        until: failure.until,
        retry_after_ms: failure.retry_after_ms,
        should_retry: failure.should_retry,
    };
    let retry = decide_retry(&failed, tries, at.now, at.random);
    let wait_ms = if retry.is_shared { 0 } else { retry.wait_ms };
    trying.due_ms = at.timer_ms.saturating_add(wait_ms);
    if retry.is_excused {
        trying.since_ms = trying.since_ms.saturating_add(retry.wait_ms);
    }
    Ok(retry)
}

/// Whether the upstream, or the way to it, failed.
const fn counts_as_failure(class: FailureClass) -> bool {
    !matches!(class, FailureClass::Interrupted | FailureClass::Restarted)
}

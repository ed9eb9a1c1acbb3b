//! What a run goes through: claims, attempts, pauses, ends; and what its engine can't do to it.

use crate::example_run::CREDENTIAL;
use crate::given::{NOW, boot, run, step};
use crate::pattern_play::{LATER, Played, agents, request};
use claviger_domain::code::ErrorCode;
use claviger_domain::orchestration::{
    ATTEMPTS_MAX, Bounds, CRASHES_MAX, CancelRun, ClaimRun, CompleteStep, Considered, Cost,
    CredentialSource, Draft, FailRun, FailureClass, FinishRun, Kept, Next, PauseReason, PauseRun,
    Phase, RESTARTS_MAX, Reply, RequestRun, Resolution, ResumeRun, Run, RunCommand, RunError,
    RunEvent, StartAttempt, StepState, StopReason, Usage, Why, counts,
};
use claviger_domain::pattern::plan;

fn draft() -> Draft {
    Draft::Parallel {
        task: "Go.".to_owned(),
        agents: agents(["Ann", "Bob"]),
        agent_names: None,
        aggregator: None,
        on_failure: claviger_domain::orchestration::OnFailure::Fail,
    }
}

/// Both agents' steps have their places.
fn planned() -> Played {
    let mut played = Played::begin(draft());
    let next = plan(&played.run);
    played.plan_steps(&next);
    played
}

fn claim() -> ClaimRun {
    ClaimRun { run: run(1), owner: boot(2), kept: vec![(step(0), 12)], now: LATER }
}

fn refused(run: &Run, command: impl Into<RunCommand>, error: RunError) {
    assert_eq!(command.into().decide(run).unwrap_err(), error);
}

fn start(n: u8) -> StartAttempt {
    StartAttempt {
        run: run(1),
        step: step(n),
        credential: CREDENTIAL(),
        request_hash: "00".repeat(32),
    }
}

fn complete(n: u8, attempt: u32) -> CompleteStep {
    CompleteStep {
        run: run(1),
        step: step(n),
        attempt,
        reply: Reply { text: "so".to_owned(), upstream_request_id: None },
        stop_reason: StopReason::EndTurn,
        usage: Usage::default(),
        cost: Cost::default(),
        first_token_ms: None,
        duration_ms: 1,
    }
}

#[test]
fn a_new_owner_closes_what_was_under_way_as_interrupted_and_maybe_billed() {
    let mut played = planned();
    played.start(step(0));
    played.take(claim());
    let [RunEvent::RunClaimed(claimed), RunEvent::StepAttemptFailed(failed, _)] =
        &played.events[played.events.len() - 2..]
    else {
        panic!("{:?}", played.events)
    };
    assert_eq!((claimed.epoch, claimed.owner), (2, boot(2)));
    assert_eq!(claimed.kept, [Kept { step: step(0), attempt: 1, bytes: 12 }]);
    assert_eq!(
        (failed.class, failed.partial_bytes, failed.maybe_billed),
        (FailureClass::Interrupted, 12, true)
    );
    assert_eq!((failed.cost, failed.next), (Cost(None), Next::Retry { at: LATER }));
    assert_eq!(played.run.cost(), Cost(None), "what nobody heard of can't be summed up");
    assert_eq!(plan(&played.run).ready, [step(0), step(1)]);
    played.start(step(0));
    let again = played.run.step(step(0)).unwrap();
    assert_eq!((again.attempts, again.counted), (2, 1), "the crash wasn't the call's fault");
}

#[test]
fn a_finished_step_is_never_begun_again() {
    let mut played = planned();
    played.start(step(0));
    played.complete(step(0), "so");
    refused(&played.run, start(0), RunError::WrongStep);
    played.take(claim());
    assert_eq!(plan(&played.run).ready, [step(1)]);
}

#[test]
fn an_attempt_that_isnt_the_present_one_changes_nothing() {
    let mut played = planned();
    refused(&played.run, complete(0, 1), RunError::WrongStep);
    played.start(step(0));
    refused(&played.run, start(0), RunError::WrongStep);
    refused(&played.run, complete(0, 2), RunError::WrongStep);
    refused(&played.run, complete(9, 1), RunError::NoStep);
    played.take(claim());
    refused(&played.run, complete(0, 1), RunError::WrongStep);
}

#[test]
fn what_was_not_billed_and_waiting_for_ones_turn_count_no_attempt() {
    use FailureClass::{Connection, InvalidOutput, Overloaded, RateLimit, Restarted};
    let mut played = planned();
    for (class, counted) in
        [(RateLimit, 0), (Overloaded, 1), (Restarted, 1), (Connection, 2), (InvalidOutput, 3)]
    {
        // No answer, no bill.
        played.start(step(0));
        played.fail(step(0), class, Next::Retry { at: LATER }, "later");
        let before = played.run.step(step(0)).unwrap().counted;
        assert_eq!(before, counted - u32::from(counts(class)), "{class:?}");
        played.start(step(0));
        played.fail_answered(step(0), class, Next::Retry { at: LATER }, "later");
        let step = played.run.step(step(0)).unwrap();
        assert_eq!(
            (step.counted, step.state),
            (counted, StepState::Waiting { until: Some(LATER) }),
            "{class:?}"
        );
    }
}

#[test]
fn a_paused_run_begins_nothing_until_it_is_resumed_on_a_credential_found_anew() {
    let mut played = planned();
    let pause = PauseRun { run: run(1), reason: PauseReason::SpendLimit, control: 3 };
    played.start(step(0));
    refused(&played.run, pause.clone(), RunError::CallsUnderWay);
    played.fail(step(0), FailureClass::SpendLimit, Next::Pause, "spent");
    played.take(pause);
    assert_eq!(played.run.phase, Phase::Paused(PauseReason::SpendLimit));
    refused(&played.run, start(0), RunError::WrongPhase(played.run.phase));
    played.take(claim());
    assert_eq!(
        played.run.phase,
        Phase::Paused(PauseReason::SpendLimit),
        "a claim alone resumes nothing"
    );
    let chosen =
        Considered { source: CredentialSource::EnvAnthropicApiKey, key: None, why: Why::Chosen };
    let resolution = Resolution { considered: vec![chosen.clone()] };
    let resume = ResumeRun { run: run(1), control: 4, resolution };
    played.take(resume.clone());
    assert_eq!((played.run.phase, played.run.control), (Phase::Running, 4));
    assert_eq!(played.run.resolution.as_ref().unwrap().chosen(), Some(&chosen));
    assert_eq!(plan(&played.run).ready, [step(0), step(1)]);
    refused(&played.run, resume, RunError::NotPaused);
}

#[test]
fn a_run_ends_only_once_its_calls_are_closed_and_then_for_good() {
    let mut played = planned();
    played.start(step(0));
    let cancel = CancelRun { run: run(1), control: 1 };
    let fail = FailRun {
        run: run(1),
        code: ErrorCode::Upstream,
        step: Some(step(0)),
        message: "no".to_owned(),
    };
    refused(&played.run, cancel.clone(), RunError::CallsUnderWay);
    refused(&played.run, fail.clone(), RunError::CallsUnderWay);
    refused(&played.run, FinishRun { run: run(1) }, RunError::CallsUnderWay);
    played.fail(step(0), FailureClass::Cancelled, Next::GiveUp, "stopped");
    played.take(cancel.clone());
    assert_eq!(played.run.phase, Phase::Cancelled);
    assert_eq!(played.run.step(step(1)).unwrap().state, StepState::Skipped);
    refused(&played.run, cancel, RunError::Ended);
    refused(&played.run, fail, RunError::Ended);
    refused(&played.run, claim(), RunError::Ended);
}

#[test]
fn a_run_is_asked_for_once_and_what_isnt_there_cant_be_claimed() {
    let played = Played::begin(draft());
    let again: RequestRun = request(draft().check(&Bounds::default()).unwrap());
    refused(&played.run, again, RunError::IdInUse);
    refused(&Run::default(), claim(), RunError::NotFound);
}

#[test]
fn a_run_whose_content_is_gone_keeps_its_facts_and_plans_nothing() {
    let mut played = planned();
    played.start(step(0));
    let mut erased = Run::default();
    for event in &played.events {
        use claviger_domain::event::Payload as _;
        use cqrs_es::Aggregate as _;
        let parts = event.parts().unwrap();
        erased.apply(RunEvent::decode(parts.kind, parts.schema, &parts.facts, None).unwrap());
    }
    assert_eq!(
        (erased.version, erased.phase, erased.steps.len()),
        (played.run.version, Phase::Running, 2)
    );
    assert_eq!(
        (erased.definition.as_ref(), plan(&erased)),
        (None, claviger_domain::pattern::Plan::default())
    );
    assert_eq!(NOW.plus_ms(60_000), LATER);
}

#[test]
fn rows_of_text_before_an_event_are_written_into_it() {
    for mut event in crate::example_run::run_events() {
        let first = matches!(event, RunEvent::RunRequested(..));
        event.set_prev_d(9);
        assert_eq!(event.prev_d(), if first { 0 } else { 9 });
    }
}

/// The step's next crash: its process is gone, and another one claims the run.
fn crash(played: &mut Played) -> (FailureClass, Next) {
    played.start(step(0));
    played.take(claim());
    let Some(RunEvent::StepAttemptFailed(failed, _)) = played.events.last() else {
        panic!("{:?}", played.events.last())
    };
    (failed.class, failed.next)
}

#[test]
fn the_third_crash_of_a_step_pauses_its_run_and_resuming_counts_anew() {
    let mut played = planned();
    let (interrupted, later) = (FailureClass::Interrupted, LATER.plus_ms(5_000));
    for _ in 0..2 {
        assert_eq!(crash(&mut played), (interrupted, Next::Retry { at: LATER }), "at once");
        assert_eq!(crash(&mut played), (interrupted, Next::Retry { at: later }), "after a pause");
        assert_eq!(crash(&mut played), (interrupted, Next::Pause));
        let pause = PauseRun { run: run(1), reason: PauseReason::Interrupted, control: 0 };
        played.take(pause);
        let Some(RunEvent::RunHalted(halted)) = played.events.last() else { panic!() };
        assert_eq!((halted.step, halted.crashes), (step(0), CRASHES_MAX));
        assert_eq!(played.run.phase, Phase::Paused(PauseReason::Interrupted));
        let resolution = Resolution { considered: Vec::new() };
        played.take(ResumeRun { run: run(1), control: 0, resolution });
        assert_eq!(plan(&played.run).ready, [step(0), step(1)]);
    }
    refused(
        &played.run,
        PauseRun { run: run(1), reason: PauseReason::Interrupted, control: 0 },
        RunError::WrongStep,
    );
}

#[test]
fn calls_that_a_process_closes_itself_are_no_crashes() {
    let mut played = planned();
    for _ in 0..2 * CRASHES_MAX {
        played.start(step(0));
        played.fail(step(0), FailureClass::Interrupted, Next::Retry { at: LATER }, "drained");
        played.take(claim());
    }
    let step = played.run.step(step(0)).unwrap();
    assert_eq!((step.crashes, step.attempts), (0, 2 * CRASHES_MAX));
}

#[test]
fn a_step_has_a_last_attempt_whatever_its_caller_decides() {
    for class in [FailureClass::Interrupted, FailureClass::RateLimit, FailureClass::SpendLimit] {
        let mut played = planned();
        for _ in 1..ATTEMPTS_MAX {
            played.start(step(0));
            played.fail(step(0), class, Next::Retry { at: LATER }, "again");
            assert!(!played.run.step(step(0)).unwrap().is_settled());
        }
        played.start(step(0));
        played.fail(step(0), class, Next::Retry { at: LATER }, "again");
        let stalled = played.run.step(step(0)).unwrap();
        assert!(stalled.is_stalled(), "{class:?}: the run pauses");
        let resolution = Resolution { considered: Vec::new() };
        let reason = stalled.hindrance().unwrap();
        played.take(PauseRun { run: run(1), reason, control: 0 });
        played.take(ResumeRun { run: run(1), control: 0, resolution });
        played.start(step(0));
        played.fail(step(0), class, Next::Retry { at: LATER }, "again");
        assert!(!played.run.step(step(0)).unwrap().is_stalled(), "{class:?}: counted anew");
    }
    let mut played = planned();
    for n in 1..=RESTARTS_MAX {
        played.start(step(0));
        played.fail(step(0), FailureClass::Restarted, Next::Retry { at: LATER }, "again");
        assert_eq!(played.run.step(step(0)).unwrap().is_stalled(), n == RESTARTS_MAX);
    }
}

//! A run in its owner's list, event by event.

use super::given::*;
use claviger_domain::code::ErrorCode;
use claviger_domain::orchestration::*;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::runs::{OpenRun, RunState, RunSummary};

/// The row after events at noon and at every second after it.
fn after(events: &[RunEvent]) -> RunSummary {
    let mut summary = None;
    for (event, n) in events.iter().zip(0..) {
        summary = RunSummary::after(summary, event, NOON.plus_ms(n * 1000));
    }
    summary.unwrap()
}

fn second(n: u64) -> Timestamp {
    NOON.plus_ms(n * 1000)
}

fn paused(control: u64) -> RunEvent {
    RunEvent::RunPaused(Paused { run: run(1), prev_d: 0, reason: PauseReason::SpendLimit, control })
}

fn resumed(control: u64) -> RunEvent {
    let resolution = Resolution { considered: Vec::new() };
    RunEvent::RunResumed(Resumed { run: run(1), prev_d: 0, control, resolution })
}

fn ends() -> [(RunEvent, RunState, u64); 3] {
    let (run, prev_d) = (run(1), 0);
    [
        (RunEvent::RunCompleted(Done { run, prev_d }), RunState::Completed, 2),
        (RunEvent::RunCancelled(Cancelled { run, prev_d, control: 3 }), RunState::Cancelled, 3),
        (
            RunEvent::RunFailed(
                Failed { run, prev_d, code: ErrorCode::Internal, step: None },
                None,
            ),
            RunState::Failed,
            2,
        ),
    ]
}

#[test]
fn a_requested_run_is_queued() {
    let row = after(&[requested(run(1), Some("title"))]);
    assert_eq!((row.id, row.facts.state, row.facts.version), (run(1), RunState::Queued, 1));
    assert_eq!(
        (row.facts.created_at, row.facts.started_at, row.facts.finished_at),
        (NOON, None, None)
    );
    assert_eq!(row.content.as_ref().and_then(|content| content.title.as_deref()), Some("title"));
    assert_eq!(row.open(), Some(OpenRun { owner: None, is_paused: false, control: 0 }));
}

#[test]
fn only_a_request_begins_a_run() {
    for event in
        [claimed(run(1), 1), paused(1), completed(run(1), credential(None), 1, Cost::default())]
    {
        assert_eq!(RunSummary::after(None, &event, NOON), None, "{event:?}");
    }
}

#[test]
fn a_run_starts_with_its_first_claim_and_belongs_to_the_last() {
    let row = after(&[requested(run(1), None), claimed(run(1), 1), claimed(run(1), 2)]);
    assert_eq!(
        (row.facts.state, row.facts.started_at, row.facts.owner),
        (RunState::Running, Some(second(1)), Some(boot(2)))
    );
    assert_eq!(row.open(), Some(OpenRun { owner: Some(boot(2)), is_paused: false, control: 0 }));
}

#[test]
fn calls_add_up_and_an_unknown_cost_makes_the_sum_unknown() {
    let call = |cost| completed(run(1), credential(None), 10, Cost(cost));
    let lost = failed(run(1), credential(None), FailureClass::Connection, Next::GiveUp);
    let mut events =
        vec![requested(run(1), None), claimed(run(1), 1), call(Some(5)), lost, call(Some(6))];
    let row = after(&events);
    let expected = Usage { input: 27, output: 3, ..Usage::default() };
    assert_eq!((row.facts.calls, row.facts.usage, row.facts.cost), (3, expected, Cost(Some(81))));
    events.push(call(None));
    assert_eq!(after(&events).facts.cost, Cost(None));
    assert_eq!(after(&events).facts.version, 6);
}

#[test]
fn a_pause_and_its_end_handle_requests() {
    let mut events = vec![requested(run(1), None), claimed(run(1), 1), paused(1)];
    let row = after(&events);
    assert_eq!(
        (row.facts.state, row.facts.paused),
        (RunState::Paused, Some(PauseReason::SpendLimit))
    );
    assert_eq!(row.open(), Some(OpenRun { owner: Some(boot(1)), is_paused: true, control: 1 }));
    events.push(claimed(run(1), 2));
    let row = after(&events);
    assert_eq!(
        (row.facts.state, row.facts.owner),
        (RunState::Paused, Some(boot(2))),
        "a claim alone resumes nothing"
    );
    events.push(resumed(2));
    let row = after(&events);
    assert_eq!(
        (row.facts.state, row.facts.paused, row.facts.started_at),
        (RunState::Running, None, Some(second(1)))
    );
    assert_eq!(row.open(), Some(OpenRun { owner: Some(boot(2)), is_paused: false, control: 2 }));
}

#[test]
fn an_ended_run_is_no_longer_open() {
    for (end, state, control) in ends() {
        let row = after(&[requested(run(1), None), claimed(run(1), 1), paused(2), end]);
        assert_eq!(
            (row.facts.state, row.facts.paused, row.facts.finished_at),
            (state, None, Some(second(3)))
        );
        assert_eq!((row.facts.control, row.open()), (control, None), "{state:?}");
    }
}

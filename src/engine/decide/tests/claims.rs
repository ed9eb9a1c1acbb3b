//! Who may claim a run.

use super::stage::{DECIDE, NOW, OURS, RUN, Stage, lines, requested, step, two_in_turn};
use crate::engine::decide::{PreviousOwner, claim, may_claim};
use claviger_domain::id::BootId;
use claviger_domain::orchestration::{ControlRequest, Phase, Run, RunControl};
use uuid::Uuid;

const OTHER: BootId = BootId(Uuid::from_u128(8));

#[test]
fn a_run_is_claimed_if_no_live_process_owns_it_and_there_is_something_to_do() {
    use ControlRequest::{Cancel, Pause, Resume};
    let (none, other) = (PreviousOwner(None), PreviousOwner(Some(OTHER)));
    let queued = requested(two_in_turn(), 1);
    let running = |owner| Run { phase: Phase::Running, owner, ..queued.clone() };
    let paused = Stage::paused().state.run;
    let paused_after = |request| vec![Pause, request];
    let ended = |phase| Run { phase, ..paused.clone() };
    let (ours, others) = (running(Some(OURS)), running(Some(OTHER)));
    for (run, requests, previous, expected) in [
        (Run::default(), vec![], none, false),
        (queued.clone(), vec![], none, true),
        (ours.clone(), vec![], none, true),
        (others.clone(), vec![], none, false),
        (others.clone(), vec![Cancel], none, false),
        (others.clone(), vec![], other, true),
        (others, vec![], PreviousOwner(Some(BootId(RUN.0))), false),
        (running(None), vec![], none, false),
        (paused.clone(), vec![Pause], none, false),
        (paused.clone(), paused_after(Pause), none, false),
        (paused.clone(), paused_after(Resume), none, true),
        (paused.clone(), paused_after(Cancel), none, true),
        (ended(Phase::Completed), paused_after(Resume), none, false),
        (ended(Phase::Failed), paused_after(Resume), none, false),
        (ended(Phase::Cancelled), paused_after(Cancel), other, false),
    ] {
        let control = RunControl { requests };
        let is_claimed = may_claim(&run, &control, previous, OURS);
        assert_eq!(is_claimed, expected, "{:?} {control:?} {previous:?}", run.phase);
    }
}

#[test]
fn a_claim_closes_the_attempts_that_the_owner_before_left_open() {
    let mut state = Stage::in_turn().settled().state;
    state.calls.clear();
    let claimed = claim(&mut state, OTHER, vec![(step(1), 3)], NOW).unwrap();
    assert_eq!(lines(&claimed), ["claimed", "failed 1#1 interrupted: retry +0", "continues"]);
    let mut after = Stage { state };
    assert_eq!(lines(&after.decide(DECIDE)), ["take ticket 1", "needs tickets"]);
}

#[test]
fn the_third_crash_of_a_step_halts_the_run() {
    let mut stage = Stage::in_turn().settled().with(|state| state.run.steps[0].crashes = 2);
    stage.state.calls.clear();
    let claimed = claim(&mut stage.state, OTHER, vec![(step(1), 3)], NOW).unwrap();
    assert_eq!(lines(&claimed), ["claimed", "failed 1#1 interrupted: pause", "continues"]);
    assert_eq!(lines(&stage.decide(DECIDE)), ["run halted 1", "rests"]);
}

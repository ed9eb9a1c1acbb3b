//! Control requests, in each phase in which they can be pending.

use super::stage::{DECIDE, Input, Outside, Stage, USUAL, check, end, fails, step};
use claviger_domain::orchestration::{ControlRequest, FailureClass, OnFailure, PauseReason};

const CONTINUE: OnFailure = OnFailure::Continue;

/// One call under way, and another step in the queue.
fn half_way() -> Stage {
    Stage::at_once(CONTINUE, 2).planned().with(|state| {
        state.granted.insert(step(1));
        state.queued.insert(step(2));
    })
}

#[test]
fn a_cancellation_ends_calls_and_run_in_one_decision() {
    let cancelled = |stage: Stage| stage.requests(ControlRequest::Cancel);
    check([
        ("nothing planned", cancelled(Stage::in_turn()), DECIDE, &["run cancelled", "rests"]),
        (
            "a call under way",
            cancelled(Stage::in_turn().settled()),
            DECIDE,
            &[
                "failed 1#1 cancelled: give up",
                "skipped 2",
                "run cancelled",
                "drop call 1",
                "rests",
            ],
        ),
        (
            "two calls, the one that sent something last comes last",
            cancelled(
                Stage::at_once(CONTINUE, 2).settled().after(step(1), super::stage::text("t")),
            ),
            DECIDE,
            &[
                "failed 2#1 cancelled: give up",
                "failed 1#1 cancelled: give up",
                "run cancelled",
                "drop call 2",
                "drop call 1",
                "rests",
            ],
        ),
        (
            "a call under way and a place in the queue",
            cancelled(half_way().settled()),
            DECIDE,
            &[
                "failed 1#1 cancelled: give up",
                "skipped 2",
                "run cancelled",
                "leave queue",
                "drop call 1",
                "rests",
            ],
        ),
        (
            "paused",
            cancelled(Stage::paused()),
            DECIDE,
            &["skipped 1", "skipped 2", "run cancelled", "rests", "pausing requested"],
        ),
        (
            "cancelled before a later resumption",
            cancelled(Stage::paused()).requests(ControlRequest::Resume),
            DECIDE,
            &["skipped 1", "skipped 2", "run cancelled", "rests", "pausing requested"],
        ),
    ]);
}

#[test]
fn a_pause_waits_for_the_calls_under_way() {
    let paused = |stage: Stage| stage.requests(ControlRequest::Pause);
    check([
        (
            "nothing planned",
            paused(Stage::in_turn()),
            DECIDE,
            &["planned 1 2", "run paused requested", "rests", "pausing requested"],
        ),
        (
            "a call under way",
            paused(Stage::in_turn().settled()),
            DECIDE,
            &["continues", "pausing requested"],
        ),
        (
            "a call under way and a place in the queue",
            paused(half_way().settled()),
            DECIDE,
            &["leave queue", "continues", "pausing requested"],
        ),
        (
            "the call under way has ended",
            paused(Stage::in_turn().settled()).settled().after(step(1), end()),
            DECIDE,
            &["run paused requested", "rests", "pausing requested"],
        ),
        (
            "the last call has ended",
            paused(Stage::design().settled())
                .settled()
                .after(step(1), fails(FailureClass::Request)),
            DECIDE,
            &["run failed VALIDATION", "rests", "pausing requested"],
        ),
        ("paused already", paused(Stage::paused()), DECIDE, &["rests", "pausing requested"]),
    ]);
}

#[test]
fn a_resumption_needs_a_resolution_and_withdraws_only_a_requested_pause() {
    let resumed = |stage: Stage| stage.requests(ControlRequest::Resume);
    let without = Input::Decide(Outside { has_resolution: false, ..USUAL });
    let keyless =
        |stage: Stage| stage.with(|state| state.pausing = Some(PauseReason::KeyUnavailable));
    check([
        ("paused, no request", Stage::paused(), DECIDE, &["rests", "pausing requested"]),
        (
            "paused, no resolution",
            resumed(Stage::paused()),
            without,
            &["rests", "pausing requested"],
        ),
        (
            "paused",
            resumed(Stage::paused()),
            DECIDE,
            &["run resumed", "take ticket 1", "needs tickets"],
        ),
        (
            "paused, and the credential is gone",
            resumed(Stage::paused()),
            Input::Decide(Outside { credential: None, ..USUAL }),
            &["run resumed", "run paused key_unavailable", "rests", "pausing key_unavailable"],
        ),
        (
            "the pause has not taken effect",
            resumed(half_way().settled().requests(ControlRequest::Pause).settled()),
            DECIDE,
            &["take ticket 2", "needs tickets"],
        ),
        (
            "a pause for another reason",
            keyless(resumed(Stage::in_turn().planned())),
            DECIDE,
            &["run paused key_unavailable", "rests", "pausing key_unavailable"],
        ),
        (
            "a step that waited for the resumption",
            resumed(
                Stage::in_turn()
                    .settled()
                    .after(step(1), fails(FailureClass::SpendLimit))
                    .settled(),
            ),
            DECIDE,
            &["run resumed", "take ticket 1", "needs tickets"],
        ),
    ]);
}

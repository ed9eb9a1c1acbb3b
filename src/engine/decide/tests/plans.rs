//! What follows from the plan: steps, attempts, and the end.

use super::stage::{
    CREDENTIAL, DECIDE, Input, NOW, Outside, Stage, USUAL, check, end, fails, lines, step, text,
};
use crate::engine::decide::withdraw;
use claviger_domain::orchestration::{
    AgentDraft, Block, Draft, FailureClass, OnFailure, StepState,
};

const CONTINUE: OnFailure = OnFailure::Continue;

const NO_CREDENTIAL: Input = Input::Decide(Outside { credential: None, ..USUAL });

fn waits(stage: Stage, n: usize, until_ms: u64) -> Stage {
    stage.with(|state| {
        state.run.steps[n].state = StepState::Waiting { until: Some(NOW.plus_ms(until_ms)) };
    })
}

fn granted(stage: Stage, steps: &[u128]) -> Stage {
    stage.with(|state| state.granted.extend(steps.iter().map(|n| step(*n))))
}

fn queued(stage: Stage, steps: &[u128]) -> Stage {
    stage.with(|state| state.queued.extend(steps.iter().map(|n| step(*n))))
}

fn two(max_concurrency: u32) -> Stage {
    Stage::at_once(CONTINUE, max_concurrency).planned()
}

#[test]
fn ready_steps_start_within_the_concurrency_once_each_has_a_ticket() {
    check([
        (
            "nothing planned",
            Stage::in_turn(),
            DECIDE,
            &["planned 1 2", "take ticket 1", "needs tickets"],
        ),
        (
            "a ticket is held",
            granted(Stage::in_turn().planned(), &[1]),
            DECIDE,
            &["started 1#1", "call 1", "continues"],
        ),
        ("in the queue", queued(Stage::in_turn().planned(), &[1]), DECIDE, &["continues"]),
        ("a call is under way", Stage::in_turn().settled(), DECIDE, &["continues"]),
        (
            "two ready, room for both",
            two(2),
            DECIDE,
            &["take ticket 1", "take ticket 2", "needs tickets"],
        ),
        ("two ready, room for one", two(1), DECIDE, &["take ticket 1", "needs tickets"]),
        (
            "two ready, room for one, which has a ticket",
            granted(two(1), &[1]),
            DECIDE,
            &["started 1#1", "call 1", "continues"],
        ),
        (
            "two ready, the other in the queue",
            queued(granted(two(2), &[1]), &[2]),
            DECIDE,
            &["started 1#1", "call 1", "continues"],
        ),
        (
            "nothing is announced before the first in the plan has a ticket or a place in the queue",
            granted(two(2), &[2]),
            DECIDE,
            &["take ticket 1", "needs tickets"],
        ),
        (
            "announced in the order of the plan",
            granted(two(2), &[2, 1]),
            DECIDE,
            &["started 1#1", "started 2#1", "call 1", "call 2", "continues"],
        ),
        (
            "the first has ended and leaves its place",
            two(1).settled().after(step(1), end()),
            DECIDE,
            &["take ticket 2", "needs tickets"],
        ),
    ]);
}

#[test]
fn a_step_starts_when_it_is_due_and_its_credential_is_usable() {
    check([
        ("later", waits(two(2), 0, 500), DECIDE, &["take ticket 2", "needs tickets", "due +500"]),
        ("later, both", waits(waits(two(2), 0, 900), 1, 500), DECIDE, &["continues", "due +500"]),
        (
            "later, with a ticket, which it keeps",
            granted(waits(Stage::in_turn().planned(), 0, 500), &[1]),
            DECIDE,
            &["continues", "due +500"],
        ),
        (
            "now",
            waits(Stage::in_turn().planned(), 0, 0),
            DECIDE,
            &["take ticket 1", "needs tickets"],
        ),
        (
            "no credential",
            Stage::in_turn(),
            NO_CREDENTIAL,
            &["planned 1 2", "run paused key_unavailable", "rests", "pausing key_unavailable"],
        ),
        (
            "no credential, and a call under way",
            queued(two(2), &[2]).settled(),
            NO_CREDENTIAL,
            &["leave queue", "continues", "pausing key_unavailable"],
        ),
        (
            "no credential, and nothing due",
            waits(Stage::in_turn().planned(), 0, 500),
            NO_CREDENTIAL,
            &["continues", "due +500"],
        ),
        (
            "waits for a resumption",
            Stage::in_turn().settled().after(step(1), fails(FailureClass::SpendLimit)),
            DECIDE,
            &["run paused spend_limit", "rests", "pausing spend_limit"],
        ),
        (
            "another waits for a resumption, and a call under way",
            two(2).settled().after(step(1), fails(FailureClass::SpendLimit)),
            DECIDE,
            &["continues", "pausing spend_limit"],
        ),
    ]);
}

#[test]
fn a_draining_process_starts_nothing() {
    let draining = |stage: Stage| stage.with(|state| state.is_draining = true);
    check([
        ("nothing planned", draining(Stage::in_turn()), DECIDE, &["planned 1 2", "continues"]),
        (
            "a ticket held, a place in the queue",
            draining(queued(granted(two(2), &[1]), &[2])),
            DECIDE,
            &["leave queue", "continues"],
        ),
        (
            "the last call has ended",
            draining(Stage::design().settled()).after(step(1), fails(FailureClass::Request)),
            DECIDE,
            &["run failed VALIDATION", "rests"],
        ),
    ]);
}

#[test]
fn a_run_ends_when_its_plan_does() {
    let failed = |on_failure| {
        let stage = Stage::at_once(on_failure, 2).settled();
        stage.after(step(1), fails(FailureClass::Request))
    };
    check([
        (
            "all completed",
            two(2).settled().after(step(1), end()).after(step(2), end()),
            DECIDE,
            &["run completed", "rests"],
        ),
        (
            "one failed, and the other's call is under way",
            failed(OnFailure::Fail),
            DECIDE,
            &["failed 2#1 cancelled: give up", "run failed VALIDATION", "drop call 2", "rests"],
        ),
        ("one failed, and the others go on", failed(CONTINUE), DECIDE, &["continues"]),
        (
            "one failed, and a quorum is out of reach",
            failed(OnFailure::Quorum(2)),
            DECIDE,
            &["failed 2#1 cancelled: give up", "run failed UPSTREAM", "drop call 2", "rests"],
        ),
        (
            "a design in other text",
            Stage::design().settled().after(step(1), text(&design("Here: "))).after(step(1), end()),
            DECIDE,
            &["fallback json_in_text", "run completed", "rests"],
        ),
        (
            "a manager whose reply is wrong twice",
            wrong(wrong(Stage::managed().settled())),
            DECIDE,
            &[
                "fallback every_worker",
                "planned 2 3 4",
                "take ticket 2",
                "take ticket 3",
                "needs tickets",
            ],
        ),
    ]);
}

/// The first call ends with a text that isn't JSON, and the calls that follow are under way.
fn wrong(stage: Stage) -> Stage {
    let stage = stage.after(step(1), text("no JSON")).after(step(1), end());
    let is_retried = stage.state.run.steps[0].state != StepState::Completed;
    if is_retried { stage.settled() } else { stage }
}

fn design(before: &str) -> String {
    let block = r#"{"id": "a", "type": "debate", "data": {"label": "l"}}"#;
    let design =
        format!(r#"{{"name": "n", "description": "d", "blocks": [{block}], "connections": []}}"#);
    format!("{before}{design}")
}

#[test]
fn the_agent_the_run_and_the_model_bound_a_reply() {
    for (of_agent, of_model, expected) in [
        (None, None, 1_000),
        (None, Some(400), 400),
        (None, Some(4_000), 1_000),
        (Some(2_000), None, 2_000),
        (Some(2_000), Some(1_500), 1_500),
        (Some(10), Some(1_500), 10),
    ] {
        let agent =
            AgentDraft { name: "a".to_owned(), max_tokens: of_agent, ..AgentDraft::default() };
        let task = vec![Block::Text { text: "task".to_owned() }];
        let draft = Draft::Sequential { task, agents: vec![agent], sequence: None };
        let mut stage = Stage::claimed(draft, 1);
        let outside = Outside { max_output_tokens: of_model, ..USUAL };
        stage.decide(Input::Decide(outside));
        let planned = stage.state.run.steps[0].planned.max_tokens;
        assert_eq!(planned, expected, "{of_agent:?} {of_model:?}");
        let stage = stage.settled();
        assert_eq!(stage.state.calls[0].credential, CREDENTIAL);
    }
}

#[test]
fn a_decision_is_a_function_of_state_and_input() {
    for stage in [Stage::in_turn(), two(2).settled(), Stage::paused()] {
        let (mut one, mut two) = (stage.clone(), stage);
        assert_eq!(lines(&one.decide(DECIDE)), lines(&two.decide(DECIDE)));
        assert_eq!(one.state.run, two.state.run);
        assert_eq!(one.state.calls, two.state.calls);
    }
}

#[test]
fn attempts_that_could_not_be_appended_are_taken_back_and_decided_again() {
    let mut stage = granted(two(2), &[1, 2]);
    let before = stage.state.clone();
    let decision = stage.decide(DECIDE);
    let announced = ["started 1#1", "started 2#1", "call 1", "call 2", "continues"];
    assert_eq!(lines(&decision), announced);
    let mut events = decision.events;
    withdraw(&mut stage.state, &mut events, decision.calls);
    assert_eq!(events, []);
    let (now, then) = (&stage.state, &before);
    assert_eq!((&now.run, &now.granted, &now.queued), (&then.run, &then.granted, &then.queued));
    assert_eq!((now.calls.len(), now.trying.len()), (0, 0));
    assert_eq!(lines(&stage.decide(DECIDE)), announced, "with a key");
    let mut without = granted(two(2), &[1, 2]);
    let decision = without.decide(DECIDE);
    let mut events = decision.events;
    withdraw(&mut without.state, &mut events, decision.calls);
    let pausing = ["run paused key_unavailable", "leave queue", "rests"];
    assert_eq!(lines(&without.decide(NO_CREDENTIAL)), pausing, "without");
}

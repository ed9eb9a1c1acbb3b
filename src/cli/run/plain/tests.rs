use super::super::sample::{Step, event, message, run};
use super::*;
use serde_json::json;

/// The lines that these messages produce.
fn told(is_live: bool, messages: &[super::super::message::Message]) -> Vec<String> {
    let (mut screen, mut plain, mut lines) =
        (RunScreen::default(), Plain::new(is_live), Vec::new());
    for message in messages {
        let changes = screen.apply(message, 0);
        lines.extend(plain.lines(&screen, &changes));
    }
    lines
}

fn feed() -> Vec<super::super::message::Message> {
    let delta = |offset: usize, text: &str| {
        message(
            json!({ "__typename": "TextDelta", "cursor": "d", "stepId": "a", "attempt": 1, "offset": offset, "text": text }),
        )
    };
    vec![
        message(
            json!({ "__typename": "Snapshot", "cursor": "s", "orchestration": run("RUNNING", &[]), "partial": [] }),
        ),
        event("StepAttemptStarted", &json!({}), Some(Step::running("a", 1))),
        delta(0, "one\ntw"),
        delta(6, "o\u{1b}[2J\nthr"),
        message(
            json!({ "__typename": "AttemptSuperseded", "cursor": "x", "stepId": "a", "attempt": 1, "keepBytes": 4, "reason": "taken_over" }),
        ),
        delta(4, "2\n"),
        event("StepCompleted", &json!({}), Some(Step::done("a", 1, "one\n2\nend"))),
        event(
            "FallbackApplied",
            &json!({ "step": "a", "fallback": "every_worker" }),
            Some(Step::done("a", 1, "one\n2\nend")),
        ),
        message(
            json!({ "__typename": "Terminal", "cursor": "t", "state": "COMPLETED", "orchestration": run("COMPLETED", &[]) }),
        ),
    ]
}

#[test]
fn a_steps_text_comes_whole_when_it_ends() {
    let expected = [
        "debate “Tea?”, run-1",
        "== Agent a, turn, round 1 (completed, 1.2 s, 1,500 tokens)",
        "one\n2\nend",
        "",
        "-- fallback after Agent a: every worker",
        "completed in 1:05 min, 15 tokens in, 2,000 out, $0.0015",
    ];
    assert_eq!(told(false, &feed()), expected);
}

#[test]
fn complete_lines_are_written_at_once_and_void_lines_are_reported() {
    let expected = [
        "debate “Tea?”, run-1",
        "Agent a | one",
        "Agent a | two␛[2J",
        "-- Agent a: its last lines are void (taken over)",
        "Agent a | 2",
        "Agent a | end",
        "-- Agent a, turn, round 1 (completed, 1.2 s, 1,500 tokens)",
        "-- fallback after Agent a: every worker",
        "completed in 1:05 min, 15 tokens in, 2,000 out, $0.0015",
    ];
    assert_eq!(told(true, &feed()), expected);
}

#[test]
fn failures_are_reported_with_their_reason() {
    let lines = told(
        false,
        &[
            event("StepAttemptFailed", &json!({}), Some(Step::waiting("a", 1, "over\u{7}loaded"))),
            event("StepAttemptFailed", &json!({}), Some(Step::failed("b", "refused"))),
        ],
    );
    let expected = [
        "-- Agent a is tried again: over␇loaded",
        "== Agent b, turn, round 1 (failed, 0 tokens): refused",
        "",
    ];
    assert_eq!(lines, expected);
}

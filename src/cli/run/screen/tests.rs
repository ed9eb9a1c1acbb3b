use super::super::sample::{Step, event, message, run};
use super::*;
use serde_json::json;

fn delta(step: &str, attempt: u32, offset: usize, text: &str) -> Message {
    let place = format!("d{step}{attempt}.{offset}");
    message(
        json!({ "__typename": "TextDelta", "cursor": place, "stepId": step, "attempt": attempt, "offset": offset, "text": text }),
    )
}

fn superseded(step: &str, attempt: u32, keep_bytes: usize) -> Message {
    message(
        json!({ "__typename": "AttemptSuperseded", "cursor": "s", "stepId": step, "attempt": attempt, "keepBytes": keep_bytes, "reason": "taken_over" }),
    )
}

fn gap(step: &str, attempt: u32, text: &str) -> Message {
    let steps = json!([{ "stepId": step, "attempt": attempt, "text": text }]);
    message(json!({ "__typename": "GapMarker", "cursor": "g", "steps": steps }))
}

fn snapshot(steps: &[Step], partial: &serde_json::Value) -> Message {
    message(
        json!({ "__typename": "Snapshot", "cursor": "sn", "orchestration": run("RUNNING", steps), "partial": partial }),
    )
}

fn fed(messages: &[Message]) -> (RunScreen, Vec<Change>) {
    let mut screen = RunScreen::default();
    let mut last = Vec::new();
    for (now, message) in (0..).zip(messages) {
        last = screen.apply(message, now * 1000);
    }
    (screen, last)
}

fn running(attempt: u32) -> Message {
    event("StepAttemptStarted", &json!({}), Some(Step::running("a", attempt)))
}

/// The text of step `a` after these messages, and the changes of the last one.
fn held(messages: &[Message]) -> (String, Vec<Change>) {
    let begin = [snapshot(&[], &json!([])), running(1)];
    let (screen, last) = fed(&[&begin[..], messages].concat());
    (screen.steps[0].text.clone(), last)
}

/// Name, messages, the text that is then held, and what the last message changed.
type Case = (&'static str, Vec<Message>, &'static str, Vec<Change>);

fn void(keep: usize, reason: &str) -> Change {
    Change::Void(0, keep, reason.to_owned())
}

fn pieces_and_cuts() -> Vec<Case> {
    let at = Change::Text(0);
    vec![
        (
            "pieces in order",
            vec![delta("a", 1, 0, "Grü"), delta("a", 1, 4, "ße")],
            "Grüße",
            vec![at.clone()],
        ),
        ("a repeat", vec![delta("a", 1, 0, "Grü"), delta("a", 1, 0, "Grü")], "Grü", vec![]),
        (
            "an older repeat",
            vec![delta("a", 1, 0, "Grüße"), delta("a", 1, 1, "rü")],
            "Grüße",
            vec![],
        ),
        (
            "an overlap",
            vec![delta("a", 1, 0, "Grü"), delta("a", 1, 1, "rüße")],
            "Grüße",
            vec![at.clone()],
        ),
        (
            "an overlap inside a character",
            vec![delta("a", 1, 0, "Gr"), delta("a", 1, 1, "üx")],
            "Gr",
            vec![Change::Lost],
        ),
        ("a hole", vec![delta("a", 1, 0, "Gr"), delta("a", 1, 4, "ße")], "Gr", vec![Change::Lost]),
        ("an unknown step", vec![delta("b", 1, 0, "x")], "", vec![Change::Lost]),
        (
            "a cut",
            vec![delta("a", 1, 0, "Grüße"), superseded("a", 1, 4)],
            "Grü",
            vec![void(4, "taken over")],
        ),
        (
            "a cut inside a character",
            vec![delta("a", 1, 0, "Grüße"), superseded("a", 1, 3)],
            "Gr",
            vec![void(2, "taken over")],
        ),
        ("a cut after the end", vec![delta("a", 1, 0, "Gr"), superseded("a", 1, 9)], "Gr", vec![]),
        (
            "text after a cut",
            vec![delta("a", 1, 0, "abc"), superseded("a", 1, 1), delta("a", 1, 1, "x")],
            "ax",
            vec![at.clone()],
        ),
    ]
}

fn attempts_and_gaps() -> Vec<Case> {
    let at = Change::Text(0);
    vec![
        (
            "a new attempt",
            vec![delta("a", 1, 0, "old"), running(2)],
            "",
            vec![void(0, "tried again"), Change::Began(0)],
        ),
        (
            "the old attempt's end",
            vec![running(2), delta("a", 2, 0, "new"), superseded("a", 1, 0)],
            "new",
            vec![],
        ),
        (
            "text of an old attempt",
            vec![running(2), delta("a", 2, 0, "new"), delta("a", 1, 0, "old")],
            "new",
            vec![],
        ),
        (
            "text of an attempt not yet announced",
            vec![delta("a", 1, 0, "old"), delta("a", 2, 0, "new")],
            "new",
            vec![void(0, "tried again"), Change::Began(0), at.clone()],
        ),
        (
            "a gap that adds",
            vec![delta("a", 1, 0, "ab"), gap("a", 1, "abc")],
            "abc",
            vec![at.clone()],
        ),
        (
            "a gap that differs",
            vec![delta("a", 1, 0, "ab"), gap("a", 1, "xyz")],
            "xyz",
            vec![void(0, "the full text differs"), at.clone()],
        ),
        (
            "a gap of an old attempt",
            vec![running(2), delta("a", 2, 0, "new"), gap("a", 1, "old")],
            "new",
            vec![],
        ),
    ]
}

#[test]
fn text_is_held_by_the_clients_rule() {
    for (name, messages, text, changes) in pieces_and_cuts().into_iter().chain(attempts_and_gaps())
    {
        assert_eq!(held(&messages), (text.to_owned(), changes), "{name}");
    }
}

#[test]
fn a_finished_step_has_its_final_text_and_accepts_no_more() {
    let done = event("StepCompleted", &json!({}), Some(Step::done("a", 1, "abc")));
    let (text, changes) = held(&[delta("a", 1, 0, "ab"), done.clone()]);
    assert_eq!((text.as_str(), changes), ("abc", vec![Change::Text(0), Change::Settled(0)]));
    for late in [delta("a", 1, 3, "x"), superseded("a", 1, 0), running(1), done.clone()] {
        assert_eq!(held(&[done.clone(), late]), ("abc".to_owned(), vec![]));
    }
}

#[test]
fn a_snapshot_after_a_cut_reports_only_changes() {
    let steps = [Step::done("a", 1, "abc"), Step::running("b", 1), Step::running("c", 2)];
    let partial = |text: &str| json!([{ "stepId": "b", "attempt": 1, "text": text }]);
    let (screen, changes) =
        fed(&[snapshot(&steps[..2], &partial("on")), snapshot(&steps, &partial("one"))]);
    assert_eq!(changes, [Change::Began(2), Change::Text(1)]);
    assert_eq!(
        (screen.steps[1].text.as_str(), screen.steps[1].began_ms, screen.steps[2].began_ms),
        ("one", Some(0), Some(1000))
    );
    assert_eq!((screen.planned, screen.cursor.as_deref()), (3, Some("sn")));
}

#[test]
fn a_hole_requires_a_new_snapshot() {
    let (screen, changes) =
        fed(&[snapshot(&[Step::running("a", 1)], &json!([])), delta("a", 1, 5, "x")]);
    assert_eq!((screen.cursor, changes), (None, vec![Change::Lost]));
}

#[test]
fn pauses_fallbacks_and_retries_are_reported() {
    let waiting = event("StepAttemptFailed", &json!({}), Some(Step::waiting("a", 1, "overloaded")));
    let (screen, changes) = fed(&[snapshot(&[Step::running("a", 1)], &json!([])), waiting]);
    assert_eq!(changes, [Change::Waiting(0)]);
    assert_eq!(screen.steps[0].trouble.as_ref().unwrap().message, "overloaded");
    let paused = event("RunPaused", &json!({ "reason": "spend_limit" }), None);
    let (screen, changes) = fed(&[snapshot(&[], &json!([])), paused.clone()]);
    assert_eq!(
        (screen.state(), changes),
        (RunState::Paused, vec![Change::Paused("spend limit".to_owned())])
    );
    let (screen, changes) =
        fed(&[snapshot(&[], &json!([])), paused, event("RunResumed", &json!({}), None)]);
    assert_eq!(
        (screen.state(), screen.paused, changes),
        (RunState::Running, None, vec![Change::State(RunState::Running)])
    );
    let fallback = event(
        "FallbackApplied",
        &json!({ "step": "a", "fallback": "every_worker" }),
        Some(Step::running("a", 1)),
    );
    let (_, changes) = fed(&[snapshot(&[Step::running("a", 1)], &json!([])), fallback]);
    assert_eq!(changes, [Change::FellBack(Some(0), "every worker".to_owned())]);
    let planned = event("StepsPlanned", &json!({ "steps": [{}, {}, {}] }), None);
    assert_eq!(fed(&[snapshot(&[], &json!([])), planned]).0.planned, 3);
}

#[test]
fn the_end_reports_the_complete_state_again() {
    let end = message(json!({ "__typename": "Terminal", "cursor": "t", "state": "COMPLETED",
        "orchestration": run("COMPLETED", &[Step::done("a", 1, "abc")]) }));
    let (screen, changes) =
        fed(&[snapshot(&[Step::running("a", 1)], &json!([])), delta("a", 1, 0, "ab"), end]);
    assert_eq!(
        changes,
        [Change::Text(0), Change::Settled(0), Change::State(RunState::Completed), Change::Ended]
    );
    assert!(screen.is_over);
}

#[test]
fn every_way_of_cutting_and_repeating_a_feed_gives_the_same_texts() {
    let feed = [
        snapshot(&[], &json!([])),
        running(1),
        delta("a", 1, 0, "Grü"),
        delta("a", 1, 4, "ße an"),
        superseded("a", 1, 6),
        delta("a", 1, 6, "e, Welt"),
        event("StepAttemptFailed", &json!({}), Some(Step::waiting("a", 1, "cut"))),
        running(2),
        superseded("a", 1, 0),
        delta("a", 2, 0, "Hal"),
        delta("a", 2, 3, "lo"),
        event("StepCompleted", &json!({}), Some(Step::done("a", 2, "Hallo"))),
    ];
    // A slow reader gets merged pieces.
    let mut merged = feed.clone();
    merged[3] = delta("a", 1, 0, "Grüße an");
    merged[10] = delta("a", 2, 0, "Hallo");
    for from in 1..feed.len() {
        for to in from..feed.len() {
            // A stock client resumes after an older cursor and gets a part of the feed twice.
            let twice = [&feed[..to], &merged[from..]].concat();
            let (done, before) = twice.split_last().unwrap();
            let (mut screen, _) = fed(before);
            assert_eq!(screen.steps[0].text, "Hallo", "{from}..{to}");
            assert_eq!(screen.apply(done, 99), [Change::Settled(0)], "{from}..{to}");
        }
    }
}

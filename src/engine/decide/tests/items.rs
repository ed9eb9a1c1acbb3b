//! Items of calls, and calls that are interrupted.

use super::stage::{DECIDE, Input, NOW, Stage, check, end, fails, failure, step, text};
use crate::anthropic::stream::{CallFailure, CallItem};
use claviger_domain::orchestration::{
    Cost, FailureClass, OnFailure, RESTARTS_MAX, RunEvent, StepState, Usage,
};

fn item(item: CallItem) -> Input {
    Input::Item(step(1), Some(item))
}

fn failed(failure: CallFailure) -> Input {
    item(CallItem::Failed(Box::new(failure)))
}

fn used(output: u64) -> Usage {
    Usage { output, ..Usage::default() }
}

fn restarted() -> CallItem {
    CallItem::Restarted { message_id: "m".to_owned(), usage: used(1), void: used(9) }
}

/// Attempts before the one that is under way failed in a way that counts.
fn tried(before: u32) -> Stage {
    Stage::in_turn().settled().with(|state| {
        state.run.steps[0].attempts += before;
        state.run.steps[0].counted += before;
        state.run.steps[0].state = StepState::Running { attempt: before + 1 };
        state.calls[0].attempt += before;
    })
}

#[test]
fn what_a_call_sends_is_taken_in() {
    let stage = || Stage::in_turn().settled();
    let design = || Stage::design().settled().after(step(1), text("no design"));
    check([
        (
            "the start",
            stage(),
            item(CallItem::Started { message_id: "m".to_owned(), usage: used(1) }),
            &["continues"],
        ),
        ("tokens", stage(), item(CallItem::Usage(used(2))), &["continues"]),
        ("text", stage(), item(text("one")), &["write 1#1 at 0: one", "continues"]),
        (
            "more text",
            stage().after(step(1), text("né")),
            item(text("two")),
            &["write 1#1 at 3: two", "continues"],
        ),
        (
            "text after a restart",
            stage().after(step(1), text("void")).after(step(1), restarted()),
            item(text("one")),
            &["write 1#2 at 0: one", "continues"],
        ),
        ("the end", stage(), item(end()), &["completed 1#1", "drop call 1", "continues"]),
        (
            "a reply without text",
            stage().after(step(1), text("  ")),
            item(end()),
            &["failed 1#1 invalid_output: retry +0", "drop call 1", "continues"],
        ),
        (
            "a reply in the wrong form",
            design(),
            item(end()),
            &["failed 1#1 invalid_output: retry +0", "drop call 1", "continues"],
        ),
        (
            "a reply in the wrong form for the second time",
            design().after(step(1), end()).settled().after(step(1), text("no design")),
            item(end()),
            &["failed 1#2 invalid_output: give up", "drop call 1", "continues"],
        ),
        (
            "an item of a call that is not under way",
            stage().after(step(1), end()),
            item(end()),
            &["continues"],
        ),
    ]);
}

#[test]
fn a_failed_call_is_retried_given_up_or_waits() {
    use FailureClass::{Connection, Overloaded, RateLimit, Request, SpendLimit};
    let stage = || Stage::in_turn().settled();
    let until = Some(NOW.plus_ms(9_000));
    check([
        (
            "retried after a backoff",
            stage(),
            item(fails(Overloaded)),
            &["failed 1#1 overloaded: retry +300", "drop call 1", "continues"],
        ),
        (
            "retried as the upstream requests",
            stage(),
            failed(CallFailure { retry_after_ms: Some(700), ..failure(Overloaded) }),
            &["failed 1#1 overloaded: retry +700", "drop call 1", "continues"],
        ),
        (
            "the upstream forbids a retry",
            stage(),
            failed(CallFailure { should_retry: Some(false), ..failure(Overloaded) }),
            &["failed 1#1 overloaded: pause", "drop call 1", "continues"],
        ),
        (
            "the last attempt that counts",
            tried(1).after(step(1), text("said")),
            item(fails(Connection)),
            &["failed 1#2 connection: pause", "drop call 1", "continues"],
        ),
        (
            "past the retry budget",
            stage().with(|state| state.rules.retry_budget_ms = 299),
            item(fails(Overloaded)),
            &["failed 1#1 overloaded: pause", "drop call 1", "continues"],
        ),
        (
            "what a limit belongs to rests before the ticket is given back",
            tried(1),
            failed(CallFailure { until, ..failure(RateLimit) }),
            &["failed 1#2 rate_limit: retry +9000", "rest +9000", "drop call 1", "continues"],
        ),
        (
            "a spend limit waits for a resumption",
            stage(),
            item(fails(SpendLimit)),
            &["failed 1#1 spend_limit: pause", "drop call 1", "continues"],
        ),
        (
            "a request that can't succeed",
            stage(),
            item(fails(Request)),
            &["failed 1#1 request: give up", "drop call 1", "continues"],
        ),
        (
            "a call without a last item",
            stage(),
            Input::Item(step(1), None),
            &["failed 1#1 connection: retry +300", "drop call 1", "continues"],
        ),
    ]);
}

#[test]
fn a_restart_and_an_interruption_end_attempts() {
    let two = || Stage::at_once(OnFailure::Fail, 2).settled();
    check([
        (
            "restarted by the upstream",
            two(),
            item(restarted()),
            &["failed 1#1 restarted: retry +0", "started 1#2", "continues"],
        ),
        (
            "interrupted",
            two(),
            Input::Interrupt,
            &[
                "failed 1#1 interrupted: retry +0",
                "failed 2#1 interrupted: retry +0",
                "drop call 1",
                "drop call 2",
                "rests",
            ],
        ),
        (
            "interrupted without calls",
            Stage::paused(),
            Input::Interrupt,
            &["rests", "pausing requested"],
        ),
        (
            "suspended, because the owner was deactivated",
            two(),
            Input::Suspend,
            &[
                "failed 1#1 interrupted: retry +0",
                "failed 2#1 interrupted: retry +0",
                "drop call 1",
                "drop call 2",
                "continues",
                "pausing key_unavailable",
            ],
        ),
        (
            "a call that was restarted goes on",
            two().after(step(1), restarted()),
            DECIDE,
            &["continues"],
        ),
    ]);
}

#[test]
fn what_may_have_been_billed_for_more_than_it_reported_costs_an_unknown_sum() {
    let half = |usage, is_maybe_billed| CallFailure {
        usage,
        maybe_billed: is_maybe_billed,
        ..failure(FailureClass::Connection)
    };
    let none = Usage::default();
    for (reported, failure, usage, is_unknown) in [
        (none, half(none, false), none, false),
        (none, half(none, true), none, true),
        (used(3), half(none, false), used(3), false),
        (used(3), half(none, true), used(3), true),
        (used(3), half(used(4), true), used(4), true),
    ] {
        let mut stage = Stage::in_turn().settled().after(step(1), CallItem::Usage(reported));
        let decision = stage.decide(failed(failure));
        let [RunEvent::StepAttemptFailed(facts, _)] = decision.events.as_slice() else {
            panic!("{:?}", decision.events)
        };
        assert_eq!((facts.usage, facts.cost == Cost::unknown()), (usage, is_unknown));
    }
}

#[test]
fn an_answer_that_restarts_too_often_pauses_its_run() {
    let again = |stage: Stage| stage.after(step(1), restarted());
    let last = (1..RESTARTS_MAX).fold(Stage::in_turn().settled(), |stage, _| again(stage));
    check([(
        "the last restart",
        last,
        item(restarted()),
        &["failed 1#10 restarted: pause", "drop call 1", "continues"],
    )]);
}

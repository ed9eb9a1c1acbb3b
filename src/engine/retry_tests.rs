use super::*;

const NOW: Timestamp = Timestamp(1_000_000);
const FIRST: Tries = Tries { failures: 1, counted: 1, max: 4, spent_ms: 0, budget_ms: 600_000 };

fn failed(class: FailureClass) -> Failed {
    Failed {
        class,
        status: None,
        is_answered: false,
        until: None,
        retry_after_ms: None,
        should_retry: None,
    }
}

fn next(failed: &Failed, tries: Tries) -> Next {
    decide_retry(failed, tries, NOW, 300).next
}

fn at(ms: u64) -> Next {
    Next::Retry { at: NOW.plus_ms(ms) }
}

#[test]
fn each_class_has_its_decision() {
    use FailureClass as C;
    for (class, expected) in [
        (C::Request, Next::GiveUp),
        (C::TooLarge, Next::GiveUp),
        (C::Refusal, Next::GiveUp),
        (C::InvalidOutput, Next::GiveUp),
        (C::Cancelled, Next::GiveUp),
        (C::Authentication, Next::Pause),
        (C::Credit, Next::Pause),
        (C::Disabled, Next::Pause),
        (C::Permission, Next::Pause),
        (C::SpendLimit, Next::Pause),
        (C::RateLimit, at(300)),
        (C::Overloaded, at(300)),
        (C::Between, at(300)),
        (C::Connection, at(300)),
        (C::Timeout, at(300)),
        (C::Protocol, at(300)),
        (C::Interrupted, at(0)),
        (C::Restarted, at(0)),
    ] {
        assert_eq!(next(&failed(class), FIRST), expected, "{class:?}");
    }
    let unknown = Failed { status: Some(404), ..failed(C::Permission) };
    assert_eq!(next(&unknown, FIRST), Next::GiveUp, "no key helps a model that doesn't exist");
}

#[test]
fn a_limit_is_waited_for_as_long_as_it_lasts_outside_of_the_budget() {
    let limited = failed(FailureClass::RateLimit);
    for (until_ms, expected) in
        [(90_000, 90_000), (7_200_000, 7_200_000), (MAX_WAIT_MS * 9, MAX_WAIT_MS)]
    {
        let limited = Failed { until: Some(NOW.plus_ms(until_ms)), ..limited };
        for tries in [FIRST, Tries { failures: 50, spent_ms: 700_000, ..FIRST }] {
            let decision = decide_retry(&limited, tries, NOW, 300);
            assert_eq!((decision.next, decision.wait_ms), (at(expected), expected));
            assert_eq!(decision.until, Some(NOW.plus_ms(expected)));
            assert!(decision.is_shared && decision.is_excused);
        }
    }
    let requested = Failed { retry_after_ms: Some(2_000), ..limited };
    assert_eq!(next(&requested, FIRST), at(2_000));
}

#[test]
fn a_limit_that_ends_at_once_or_in_the_past_has_waits_that_grow_and_a_budget() {
    let limited = failed(FailureClass::RateLimit);
    for limited in [
        limited,
        Failed { retry_after_ms: Some(0), ..limited },
        Failed { until: Some(Timestamp(1)), ..limited },
        Failed { until: Some(NOW), ..limited },
    ] {
        for (failures, wait) in [(1, 300), (2, 800), (5, 4_300), (20, 30_300)] {
            let decision = decide_retry(&limited, Tries { failures, ..FIRST }, NOW, 300);
            assert_eq!((decision.next, decision.is_excused), (at(wait), false), "{failures}");
        }
        let spent = Tries { failures: 20, spent_ms: 600_000, ..FIRST };
        assert_eq!(next(&limited, spent), Next::Pause);
    }
}

#[test]
fn faults_are_waited_out_until_the_budget_is_spent() {
    let overloaded = failed(FailureClass::Overloaded);
    let many = Tries { failures: 30, counted: 30, ..FIRST };
    assert_eq!(next(&overloaded, many), at(30_300), "as long as nothing was billed");
    let late = Tries { failures: 9, spent_ms: 580_000, ..FIRST };
    assert_eq!(next(&overloaded, late), at(20_000), "the last wait ends with the budget");
    assert_eq!(next(&overloaded, Tries { spent_ms: 599_990, ..late }), Next::Pause);
    assert_eq!(next(&Failed { retry_after_ms: Some(5_000), ..overloaded }, FIRST), at(5_000));
    let long = Failed { retry_after_ms: Some(3_600_000), ..overloaded };
    let decision = decide_retry(&long, FIRST, NOW, 300);
    assert_eq!((decision.next, decision.until), (Next::Pause, Some(NOW.plus_ms(3_600_000))));
    assert_eq!(next(&Failed { should_retry: Some(false), ..overloaded }, FIRST), Next::Pause);
}

#[test]
fn what_is_billed_is_bounded_by_number() {
    let cut = Failed { is_answered: true, ..failed(FailureClass::Connection) };
    assert_eq!(next(&cut, Tries { counted: 3, ..FIRST }), at(300));
    assert_eq!(next(&cut, Tries { counted: 4, ..FIRST }), Next::Pause);
    let malformed = Failed { is_answered: true, ..failed(FailureClass::Protocol) };
    assert_eq!(next(&malformed, FIRST), at(300));
    assert_eq!(next(&malformed, Tries { counted: 2, ..FIRST }), Next::Pause);
}

//! What a failed call leads to (`UPSTREAM.md`, section 1): a function of the failure and of what was tried before.

use super::backoff::wait_ms;
use claviger_domain::orchestration::{FailureClass, Next, counts};
use claviger_domain::timestamp::Timestamp;

/// Most attempts of a step, those included that don't count: nothing goes on for ever.
const MOST_ATTEMPTS: u32 = 100;

/// The longest that a limit of rate is waited for, in milliseconds: an hour.
const MOST_WAIT_MS: u64 = 3_600_000;

/// A failed call, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    /// Why.
    pub(super) class: FailureClass,
    /// When a limit ends, where the answer says so.
    pub(super) until: Option<Timestamp>,
    /// How long upstream asks to wait.
    pub(super) retry_after_ms: Option<u64>,
    /// `x-should-retry`.
    pub(super) should_retry: Option<bool>,
}

/// What was tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    /// Attempts of the step, this one included.
    pub(super) attempts: u32,
    /// Of those, the ones that count, this one included.
    pub(super) counted: u32,
    /// Most that may count.
    pub(super) max: u32,
    /// How long the step has been tried, in milliseconds.
    pub(super) spent_ms: u64,
    /// For how long it may be, in milliseconds.
    pub(super) budget_ms: u64,
}

/// What it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reaction {
    /// What becomes of the step.
    pub(super) next: Next,
    /// Nobody calls with this credential before then.
    pub(super) park: Option<Timestamp>,
}

/// What a failed call leads to. `random` is any number.
pub(super) fn react(failed: &Failed, tries: Tries, now: Timestamp, random: u64) -> Reaction {
    let give_up = Reaction { next: Next::GiveUp, park: None };
    if tries.attempts >= MOST_ATTEMPTS {
        return give_up;
    }
    match failed.class {
        FailureClass::Request
        | FailureClass::Authentication
        | FailureClass::Credit
        | FailureClass::Permission
        | FailureClass::Refusal
        | FailureClass::Cancelled
        | FailureClass::InvalidOutput => give_up,
        FailureClass::SpendLimit => Reaction { next: Next::Pause, park: None },
        FailureClass::Interrupted | FailureClass::Restarted => {
            Reaction { next: Next::Retry { at: now }, park: None }
        }
        FailureClass::RateLimit => {
            let asked = failed.until.or(failed.retry_after_ms.map(|ms| now.plus_ms(ms)));
            let at = asked.unwrap_or_else(|| now.plus_ms(wait_ms(tries.attempts, random))).max(now);
            if at.ms_since(now) > MOST_WAIT_MS {
                give_up
            } else {
                Reaction { next: Next::Retry { at }, park: Some(at) }
            }
        }
        FailureClass::Overloaded
        | FailureClass::Connection
        | FailureClass::Timeout
        | FailureClass::Protocol => {
            let wait = failed.retry_after_ms.unwrap_or_else(|| wait_ms(tries.counted, random));
            let is_over = counts(failed.class) && tries.counted >= tries.max;
            if is_over
                || failed.should_retry == Some(false)
                || tries.spent_ms.saturating_add(wait) > tries.budget_ms
            {
                return give_up;
            }
            Reaction { next: Next::Retry { at: now.plus_ms(wait) }, park: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const FIRST: Tries = Tries { attempts: 1, counted: 1, max: 3, spent_ms: 0, budget_ms: 600_000 };

    fn failed(class: FailureClass) -> Failed {
        Failed { class, until: None, retry_after_ms: None, should_retry: None }
    }

    fn next(failed: &Failed, tries: Tries) -> Next {
        react(failed, tries, NOW, 300).next
    }

    fn at(ms: u64) -> Next {
        Next::Retry { at: NOW.plus_ms(ms) }
    }

    #[test]
    fn each_class_has_its_reaction() {
        use FailureClass as C;
        for (class, expected) in [
            (C::Request, Next::GiveUp),
            (C::Authentication, Next::GiveUp),
            (C::Credit, Next::GiveUp),
            (C::Permission, Next::GiveUp),
            (C::Refusal, Next::GiveUp),
            (C::InvalidOutput, Next::GiveUp),
            (C::Cancelled, Next::GiveUp),
            (C::SpendLimit, Next::Pause),
            (C::RateLimit, at(300)),
            (C::Overloaded, at(300)),
            (C::Connection, at(300)),
            (C::Timeout, at(300)),
            (C::Protocol, at(300)),
            (C::Interrupted, at(0)),
            (C::Restarted, at(0)),
        ] {
            assert_eq!(next(&failed(class), FIRST), expected, "{class:?}");
        }
    }

    #[test]
    fn a_limit_of_rate_is_waited_for_as_long_as_asked_and_parks_the_credential() {
        let limited =
            Failed { until: Some(NOW.plus_ms(90_000)), ..failed(FailureClass::RateLimit) };
        let expected = Reaction { next: at(90_000), park: Some(NOW.plus_ms(90_000)) };
        // However often: waiting counts no attempt.
        for tries in [FIRST, Tries { attempts: 50, counted: 3, spent_ms: 700_000, ..FIRST }] {
            assert_eq!(react(&limited, tries, NOW, 300), expected);
        }
        let asked = Failed { retry_after_ms: Some(2_000), ..failed(FailureClass::RateLimit) };
        assert_eq!(next(&asked, FIRST), at(2_000));
        let long = Failed { until: Some(NOW.plus_ms(MOST_WAIT_MS + 1)), ..limited };
        assert_eq!(next(&long, FIRST), Next::GiveUp);
        let past = Failed { until: Some(Timestamp(1)), ..limited };
        assert_eq!(next(&past, FIRST), at(0));
    }

    #[test]
    fn what_may_be_tried_again_has_an_end() {
        let overloaded = failed(FailureClass::Overloaded);
        assert_eq!(next(&overloaded, Tries { counted: 3, ..FIRST }), Next::GiveUp);
        assert_eq!(next(&overloaded, Tries { spent_ms: 599_800, ..FIRST }), Next::GiveUp);
        assert_eq!(next(&Failed { should_retry: Some(false), ..overloaded }, FIRST), Next::GiveUp);
        assert_eq!(next(&Failed { retry_after_ms: Some(5_000), ..overloaded }, FIRST), at(5_000));
        for class in [FailureClass::RateLimit, FailureClass::Interrupted] {
            assert_eq!(
                next(&failed(class), Tries { attempts: MOST_ATTEMPTS, ..FIRST }),
                Next::GiveUp,
                "{class:?}"
            );
        }
    }
}

//! The retry policy: whether and when a step is retried depends on the failure of its call and on
//! the attempts so far.

use super::backoff::wait_ms;
use claviger_domain::orchestration::{ATTEMPTS_MAX, FailureClass, Next, counts};
use claviger_domain::timestamp::Timestamp;

/// Longest wait for a rate limit to end, in milliseconds: an hour.
const MAX_WAIT_MS: u64 = 3_600_000;

/// The part of a failure that decides about a retry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) class: FailureClass,
    /// When the limit that was hit ends; `None` if the response does not contain it.
    pub(super) until: Option<Timestamp>,
    /// The wait that the upstream requests, in milliseconds.
    pub(super) retry_after_ms: Option<u64>,
    /// Header `x-should-retry`.
    pub(super) should_retry: Option<bool>,
}

/// The attempts so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    /// Attempts of the step, including this one.
    pub(super) attempts: u32,
    /// Of those, the attempts that count, including this one.
    pub(super) counted: u32,
    /// Most attempts that may count.
    pub(super) max: u32,
    /// Milliseconds since the first attempt.
    pub(super) spent_ms: u64,
    /// Most milliseconds from the first attempt to the start of the next.
    pub(super) budget_ms: u64,
}

/// What follows from a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RetryDecision {
    /// What happens to the step.
    pub(super) next: Next,
    /// No call of this process starts with the credential before then.
    pub(super) park_until: Option<Timestamp>,
}

/// Decides what follows from a failed call. `random` is any number: it spreads retries.
pub(super) fn decide_retry(
    failed: &Failed,
    tries: Tries,
    now: Timestamp,
    random: u64,
) -> RetryDecision {
    let give_up = RetryDecision { next: Next::GiveUp, park_until: None };
    if tries.attempts >= ATTEMPTS_MAX {
        return give_up;
    }
    match failed.class {
        FailureClass::Request
        | FailureClass::TooLarge
        | FailureClass::Authentication
        | FailureClass::Credit
        | FailureClass::Disabled
        | FailureClass::Permission
        | FailureClass::Refusal
        | FailureClass::Cancelled
        | FailureClass::InvalidOutput => give_up,
        FailureClass::SpendLimit => RetryDecision { next: Next::Pause, park_until: None },
        FailureClass::Interrupted | FailureClass::Restarted => {
            RetryDecision { next: Next::Retry { at: now }, park_until: None }
        }
        FailureClass::RateLimit => {
            let requested = failed.until.or(failed.retry_after_ms.map(|ms| now.plus_ms(ms)));
            let at =
                requested.unwrap_or_else(|| now.plus_ms(wait_ms(tries.attempts, random))).max(now);
            if at.ms_since(now) > MAX_WAIT_MS {
                give_up
            } else {
                RetryDecision { next: Next::Retry { at }, park_until: Some(at) }
            }
        }
        FailureClass::Between
        | FailureClass::Overloaded
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
            RetryDecision { next: Next::Retry { at: now.plus_ms(wait) }, park_until: None }
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
    fn a_rate_limit_is_waited_for_as_long_as_requested_and_parks_the_credential() {
        let limited =
            Failed { until: Some(NOW.plus_ms(90_000)), ..failed(FailureClass::RateLimit) };
        let expected = RetryDecision { next: at(90_000), park_until: Some(NOW.plus_ms(90_000)) };
        // Any number of times: a wait for a limit counts no attempt.
        for tries in [FIRST, Tries { attempts: 50, counted: 3, spent_ms: 700_000, ..FIRST }] {
            assert_eq!(decide_retry(&limited, tries, NOW, 300), expected);
        }
        let requested = Failed { retry_after_ms: Some(2_000), ..failed(FailureClass::RateLimit) };
        assert_eq!(next(&requested, FIRST), at(2_000));
        let long = Failed { until: Some(NOW.plus_ms(MAX_WAIT_MS + 1)), ..limited };
        assert_eq!(next(&long, FIRST), Next::GiveUp);
        let past = Failed { until: Some(Timestamp(1)), ..limited };
        assert_eq!(next(&past, FIRST), at(0));
    }

    #[test]
    fn retries_end_by_count_by_budget_and_when_the_upstream_forbids_them() {
        let overloaded = failed(FailureClass::Overloaded);
        assert_eq!(next(&overloaded, Tries { counted: 3, ..FIRST }), Next::GiveUp);
        assert_eq!(next(&overloaded, Tries { spent_ms: 599_800, ..FIRST }), Next::GiveUp);
        assert_eq!(next(&Failed { should_retry: Some(false), ..overloaded }, FIRST), Next::GiveUp);
        assert_eq!(next(&Failed { retry_after_ms: Some(5_000), ..overloaded }, FIRST), at(5_000));
        for class in [FailureClass::RateLimit, FailureClass::Interrupted] {
            assert_eq!(
                next(&failed(class), Tries { attempts: ATTEMPTS_MAX, ..FIRST }),
                Next::GiveUp,
                "{class:?}"
            );
        }
    }
}

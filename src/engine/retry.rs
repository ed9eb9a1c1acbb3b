//! The retry policy: whether and when a step is called again depends on the failure of its call and
//! on those before it. A step fails only if calling again is pointless. Otherwise it is called
//! again after growing waits until the retry budget is spent, and then the run pauses.

use super::backoff::{floor_ms, wait_ms};
use claviger_domain::orchestration::{FailureClass, Next, counts};
use claviger_domain::timestamp::Timestamp;

/// Longest wait for a limit to end, in milliseconds: a day.
const MAX_WAIT_MS: u64 = 24 * 3_600_000;

/// A wait shorter than this is not worth the last call of the budget, in milliseconds.
const LAST_MS: u64 = 1_000;

/// Answers against the protocol that may be billed before the run pauses.
const MALFORMED_MAX: u32 = 2;

/// The part of a failure that decides about a retry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) class: FailureClass,
    /// The upstream's HTTP status.
    pub(super) status: Option<u16>,
    /// The upstream began to answer, so that the call is billed.
    pub(super) is_answered: bool,
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
    /// Failures in a row, this one included.
    pub(super) failures: u32,
    /// Attempts that count, including this one.
    pub(super) counted: u32,
    /// Most attempts that may count.
    pub(super) max: u32,
    /// Milliseconds since the first of the failures in a row, without the waits that the upstream
    /// asked for.
    pub(super) spent_ms: u64,
    /// The retry budget in milliseconds.
    pub(super) budget_ms: u64,
}

/// What follows from a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RetryDecision {
    /// What happens to the step.
    pub(super) next: Next,
    /// When what stands in the way ends, as far as the upstream says it.
    pub(super) until: Option<Timestamp>,
    /// Milliseconds until the next attempt.
    pub(super) wait_ms: u64,
    /// The wait is for what the key shares with others: none of them is called before then.
    pub(super) is_shared: bool,
    /// The upstream asked for the wait, so the budget doesn't bear it.
    pub(super) is_excused: bool,
}

impl RetryDecision {
    const fn ends(next: Next, until: Option<Timestamp>) -> Self {
        Self { next, until, wait_ms: 0, is_shared: false, is_excused: false }
    }
}

/// Decides what follows from a failed call. `random` is any number: it spreads retries.
pub(super) fn decide_retry(
    failed: &Failed,
    tries: Tries,
    now: Timestamp,
    random: u64,
) -> RetryDecision {
    match failed.class {
        FailureClass::Request
        | FailureClass::TooLarge
        | FailureClass::Refusal
        | FailureClass::Cancelled
        | FailureClass::InvalidOutput => RetryDecision::ends(Next::GiveUp, None),
        // The model doesn't exist, and the run names no other.
        FailureClass::Permission if failed.status == Some(404) => {
            RetryDecision::ends(Next::GiveUp, None)
        }
        FailureClass::Authentication
        | FailureClass::Credit
        | FailureClass::Disabled
        | FailureClass::Permission => RetryDecision::ends(Next::Pause, None),
        FailureClass::SpendLimit => RetryDecision::ends(Next::Pause, failed.until),
        FailureClass::Interrupted | FailureClass::Restarted => {
            RetryDecision::ends(Next::Retry { at: now }, None)
        }
        FailureClass::RateLimit => after_limit(failed, tries, now, random),
        FailureClass::Overloaded
        | FailureClass::Between
        | FailureClass::Connection
        | FailureClass::Timeout
        | FailureClass::Protocol => after_fault(failed, tries, now, random),
    }
}

/// The wait that the upstream asks for, if it is longer than the one that the failures in a row call
/// for.
fn asked_ms(failed: &Failed, tries: Tries, now: Timestamp) -> Option<u64> {
    let asked = failed.until.map(|until| until.ms_since(now)).or(failed.retry_after_ms)?;
    (asked > floor_ms(tries.failures) && asked > 0).then_some(asked.min(MAX_WAIT_MS))
}

fn after_limit(failed: &Failed, tries: Tries, now: Timestamp, random: u64) -> RetryDecision {
    let retry = |wait_ms, until, is_excused| RetryDecision {
        next: Next::Retry { at: now.plus_ms(wait_ms) },
        until,
        wait_ms,
        is_shared: true,
        is_excused,
    };
    match (asked_ms(failed, tries, now), within(tries, random)) {
        (Some(wait), _) => retry(wait, Some(now.plus_ms(wait)), true),
        (None, Some(wait)) => retry(wait, None, false),
        (None, None) => RetryDecision::ends(Next::Pause, None),
    }
}

fn after_fault(failed: &Failed, tries: Tries, now: Timestamp, random: u64) -> RetryDecision {
    let most = if failed.class == FailureClass::Protocol {
        tries.max.min(MALFORMED_MAX)
    } else {
        tries.max
    };
    let is_over = failed.is_answered && counts(failed.class) && tries.counted >= most;
    let asked = asked_ms(failed, tries, now);
    let left = tries.budget_ms.saturating_sub(tries.spent_ms);
    let until = asked.map(|wait| now.plus_ms(wait));
    if is_over || failed.should_retry == Some(false) || asked.is_some_and(|wait| wait > left) {
        return RetryDecision::ends(Next::Pause, until);
    }
    match asked.or_else(|| within(tries, random)) {
        Some(wait_ms) => RetryDecision {
            next: Next::Retry { at: now.plus_ms(wait_ms) },
            until,
            wait_ms,
            is_shared: false,
            is_excused: false,
        },
        None => RetryDecision::ends(Next::Pause, None),
    }
}

/// The next wait, the last of which ends with the budget; `None` once that is spent.
fn within(tries: Tries, random: u64) -> Option<u64> {
    let left = tries.budget_ms.saturating_sub(tries.spent_ms);
    let wait = wait_ms(tries.failures, random);
    if wait <= left {
        Some(wait)
    } else {
        (left >= LAST_MS && left >= floor_ms(tries.failures) / 2).then_some(left)
    }
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;

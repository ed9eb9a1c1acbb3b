//! A row of the activity view: one key. It contains no personal data, so nothing is sealed.

use claviger_domain::key_test::{KeyTestStatus, KeyVerdict, Verdict};
use claviger_domain::orchestration::{FailureClass, Next};
use claviger_domain::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Maximum number of days with calls that a row keeps: the latest.
pub const KEPT_DAYS: usize = 90;

/// Milliseconds in a UTC day.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallFault {
    /// Anthropic rejected the key.
    KeyRefused,
    /// The key has no credit.
    NoCredit,
    /// The key may not use the model.
    ModelRefused,
    /// Too many calls in a short time.
    RateLimited,
    /// Anthropic returned another error.
    Upstream,
    /// Anthropic did not answer.
    NoAnswer,
}

impl CallFault {
    /// The fault shown by a test's verdict; `None` if the call succeeded.
    pub const fn of_verdict(verdict: &KeyVerdict) -> Option<Self> {
        if matches!(verdict.status, KeyTestStatus::Success) {
            return None;
        }
        Some(if matches!(verdict.authentic, Verdict::No) {
            Self::KeyRefused
        } else if matches!(verdict.has_credit, Verdict::No) {
            Self::NoCredit
        } else if matches!(verdict.model_allowed, Verdict::No) {
            Self::ModelRefused
        } else if matches!(verdict.status, KeyTestStatus::Failed) {
            // Its organisation is disabled.
            Self::KeyRefused
        } else if verdict.rate_limited_until.is_some()
            // A 429 of anything but Anthropic says nothing about the key.
            || matches!((verdict.upstream_status, verdict.authentic), (Some(429), Verdict::Yes))
        {
            Self::RateLimited
        } else if verdict.upstream_status.is_some() {
            Self::Upstream
        } else {
            Self::NoAnswer
        })
    }
}

/// What a call revealed about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The upstream answered normally.
    Well,
    /// The call failed.
    Failed {
        /// Why it failed.
        fault: CallFault,
        /// When the rate limit that the call hit ends.
        rate_limited_until: Option<Timestamp>,
    },
    /// Nothing: the call ended before an answer arrived, through no fault of the upstream or the
    /// key.
    Unheard,
}

impl CallEnd {
    /// Derived from a test's verdict.
    pub const fn of_verdict(verdict: &KeyVerdict) -> Self {
        match CallFault::of_verdict(verdict) {
            None => Self::Well,
            Some(fault) => Self::Failed { fault, rate_limited_until: verdict.rate_limited_until },
        }
    }

    /// Derived from a failed attempt of a step.
    pub const fn of_attempt(class: FailureClass, next: Next) -> Self {
        let (fault, rate_limited_until) = match class {
            // The upstream accepted the key; an unusable reply is no evidence against it.
            FailureClass::InvalidOutput | FailureClass::Refusal => return Self::Well,
            FailureClass::Interrupted | FailureClass::Restarted | FailureClass::Cancelled => {
                return Self::Unheard;
            }
            FailureClass::Authentication | FailureClass::Disabled => (CallFault::KeyRefused, None),
            // As in the test of a key: a key at its spend limit has no credit.
            FailureClass::Credit | FailureClass::SpendLimit => (CallFault::NoCredit, None),
            FailureClass::Permission => (CallFault::ModelRefused, None),
            FailureClass::RateLimit => (
                CallFault::RateLimited,
                match next {
                    Next::Retry { at } => Some(at),
                    Next::GiveUp | Next::Pause => None,
                },
            ),
            FailureClass::Request
            | FailureClass::TooLarge
            | FailureClass::Between
            | FailureClass::Overloaded
            | FailureClass::Protocol => (CallFault::Upstream, None),
            FailureClass::Connection | FailureClass::Timeout => (CallFault::NoAnswer, None),
        };
        Self::Failed { fault, rate_limited_until }
    }
}

/// One call with the key, by any process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// When the call ended.
    pub at: Timestamp,
    /// What the call revealed about the key.
    pub end: CallEnd,
}

/// A failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultFacts {
    /// When the call ended.
    pub at: Timestamp,
    /// Why the call failed.
    pub fault: CallFault,
}

/// The calls of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayOfCalls {
    /// Number of calls that ended on this day.
    pub calls: u64,
}

/// What calls with a key revealed about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyActivity {
    /// When the key was added; sorts the rows.
    pub since: Timestamp,
    /// When the last call ended; `None` before the first.
    pub last_call_at: Option<Timestamp>,
    /// When the last call of a run ended; a test of the key is a call but not a use.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
    /// When the last successful call ended.
    pub last_success_at: Option<Timestamp>,
    /// The last call that failed.
    pub last_fault: Option<FaultFacts>,
    /// When the latest rate limit ends; `None` after a later successful call.
    pub rate_limited_until: Option<Timestamp>,
    /// Calls by UTC day, in days since 1970-01-01; at most [`KEPT_DAYS`].
    pub days: BTreeMap<u64, DayOfCalls>,
}

impl KeyActivity {
    /// The row of a key that was never used.
    pub fn new(since: Timestamp) -> Self {
        Self { since, ..Self::default() }
    }

    /// Adds a call.
    pub fn call(&mut self, call: &Call) {
        self.last_call_at = Some(call.at);
        match call.end {
            CallEnd::Well => {
                self.last_success_at = Some(call.at);
                self.rate_limited_until = None;
            }
            CallEnd::Failed { fault, rate_limited_until } => {
                self.last_fault = Some(FaultFacts { at: call.at, fault });
                self.rate_limited_until = rate_limited_until.or(self.rate_limited_until);
            }
            CallEnd::Unheard => {}
        }
        self.days.entry(call.at.0 / DAY_MS).or_default().calls += 1;
        while self.days.len() > KEPT_DAYS {
            self.days.pop_first();
        }
    }

    /// Adds a call of a run.
    pub fn used(&mut self, call: &Call) {
        self.last_used_at = Some(call.at);
        self.call(call);
    }

    /// When a day of [`KeyActivity::days`] begins.
    pub const fn start_of(day: u64) -> Timestamp {
        Timestamp(day.saturating_mul(DAY_MS))
    }
}

//! What calls revealed about a key.

use crate::scalars::DateTime;
use async_graphql::{Enum, SimpleObject};
use claviger_projections::activity as view;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "view::CallFault")]
pub(crate) enum CallFault {
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

/// What calls with a key revealed about it. Tests of the key count as calls.
#[derive(Clone, SimpleObject)]
pub(crate) struct KeyActivity {
    /// When the last call ended.
    last_call_at: DateTime,
    /// When the last successful call ended.
    last_success_at: Option<DateTime>,
    /// When the last call that failed ended.
    last_fault_at: Option<DateTime>,
    /// Why the last failed call failed.
    last_fault: Option<CallFault>,
    /// When the latest rate limit ends; null after a later successful call.
    rate_limited_until: Option<DateTime>,
    /// Calls by day, newest first, for the last 90 days that had any.
    calls_by_day: Vec<CallsOfDay>,
}

/// The calls of one day.
#[derive(Clone, SimpleObject)]
pub(crate) struct CallsOfDay {
    /// Start of the day, in UTC.
    day: DateTime,
    /// Number of calls that ended on this day.
    calls: i32,
}

impl KeyActivity {
    /// `None` for a key that was never used.
    pub(crate) fn of(activity: &view::KeyActivity) -> Option<Self> {
        let day = |(day, of): (&u64, &view::DayOfCalls)| CallsOfDay {
            day: DateTime(view::KeyActivity::start_of(*day)),
            calls: i32::try_from(of.calls).unwrap_or(i32::MAX),
        };
        Some(Self {
            last_call_at: DateTime(activity.last_call_at?),
            last_success_at: activity.last_success_at.map(DateTime),
            last_fault_at: activity.last_fault.map(|fault| DateTime(fault.at)),
            last_fault: activity.last_fault.map(|fault| fault.fault.into()),
            rate_limited_until: activity.rate_limited_until.map(DateTime),
            calls_by_day: activity.days.iter().rev().map(day).collect(),
        })
    }
}

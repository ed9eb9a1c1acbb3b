//! What a call yields to its caller.

use super::super::error::{Between, FailureClass as Cause, Malformed, UpstreamFailure};
use super::super::headers::{Origin, RateLimits};
use super::super::prices::Terms;
use claviger_domain::orchestration::{FailureClass, StopReason, Usage};
use claviger_domain::timestamp::Timestamp;
use futures::stream::BoxStream;

/// A call in progress. It starts when it is first polled; dropping it ends the request. The last
/// item is `Ended` or `Failed`.
pub type CallStream = BoxStream<'static, CallItem>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallItem {
    Started {
        message_id: String,
        /// The input tokens, and the first of the output.
        usage: Usage,
    },
    /// Upstream started again by itself: all text before this is void.
    Restarted {
        /// Of the new message.
        message_id: String,
        /// Of the new message.
        usage: Usage,
        /// Of the void message, as far as upstream reported it.
        void: Usage,
    },
    /// The next text, never empty.
    Text(String),
    /// The tokens so far, cumulative.
    Usage(Usage),
    /// The message is complete.
    Ended(Box<CallEnd>),
    /// There will be no complete message.
    Failed(Box<CallFailure>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEnd {
    pub stop_reason: StopReason,
    pub usage: Usage,
    /// What the price depends on besides the tokens.
    pub terms: Terms,
    /// Bytes of thinking that were discarded.
    pub thinking_bytes: u64,
    pub origin: Origin,
    /// Rate limits of the key's organisation.
    pub limits: RateLimits,
}

/// Why there is no complete message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure {
    /// Decides what happens next.
    pub class: FailureClass,
    /// When a limit ends, if the response includes it.
    pub until: Option<Timestamp>,
    /// How long upstream asks to wait, in milliseconds; at most a day.
    pub retry_after_ms: Option<u64>,
    /// `x-should-retry`.
    pub should_retry: Option<bool>,
    /// Upstream's HTTP status; `None` without a response.
    pub status: Option<u16>,
    /// Tokens of the received part.
    pub usage: Usage,
    /// What the price depends on besides the tokens.
    pub terms: Terms,
    /// Whether the call may have cost more than `usage` shows: what it cost is unknown then.
    pub maybe_billed: bool,
    pub origin: Origin,
    /// Rate limits of the key's organisation.
    pub limits: RateLimits,
    /// One sentence for a person: ours, and Anthropic's reason. Content: never for the log.
    pub message: String,
}

impl CallFailure {
    /// A failure of this class, before any response and without a cost.
    pub(crate) fn bare(class: FailureClass, message: &str) -> Self {
        Self {
            class,
            until: None,
            retry_after_ms: None,
            should_retry: None,
            status: None,
            usage: Usage::default(),
            terms: Terms::Usual,
            maybe_billed: false,
            origin: Origin::default(),
            limits: RateLimits::default(),
            message: message.to_owned(),
        }
    }

    /// The same failure in a run's classes. An error status costs nothing; a call that broke off or
    /// got no response may have been billed.
    pub(super) fn of(failure: UpstreamFailure, usage: Usage, limits: RateLimits) -> Self {
        let until = failure.class.limited_until();
        Self {
            class: class_of(&failure),
            until,
            retry_after_ms: failure.retry_after_ms,
            should_retry: failure.should_retry,
            status: failure.status,
            usage,
            terms: Terms::Usual,
            maybe_billed: failure.may_be_billed(),
            message: failure.in_words(),
            origin: failure.origin,
            limits,
        }
    }
}

/// The class that decides how a run reacts. A model that does not exist for this key counts as a
/// lack of permission. A gateway that reports a fault behind it speaks of Anthropic's.
pub(in super::super) fn class_of(failure: &UpstreamFailure) -> FailureClass {
    match failure.class {
        Cause::Authentication => FailureClass::Authentication,
        Cause::Billing | Cause::OnHold => FailureClass::Credit,
        Cause::Disabled => FailureClass::Disabled,
        Cause::NoModel | Cause::Permission => FailureClass::Permission,
        Cause::RateLimited { .. } => FailureClass::RateLimit,
        Cause::SpendLimit { .. } => FailureClass::SpendLimit,
        Cause::InvalidRequest | Cause::Conflict => FailureClass::Request,
        Cause::TooLarge | Cause::TooLong => FailureClass::TooLarge,
        Cause::Between(Between::Other) if matches!(failure.status, Some(408 | 500..)) => {
            FailureClass::Overloaded
        }
        Cause::Between(_) | Cause::Malformed(Malformed::Foreign | Malformed::Redirect) => {
            FailureClass::Between
        }
        Cause::Overloaded | Cause::Server => FailureClass::Overloaded,
        Cause::Network | Cause::Malformed(Malformed::Cut) => FailureClass::Connection,
        Cause::Timeout => FailureClass::Timeout,
        Cause::Malformed(Malformed::TooBig | Malformed::Unreadable) => FailureClass::Protocol,
    }
}

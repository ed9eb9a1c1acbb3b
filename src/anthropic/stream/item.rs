//! What a call tells whoever made it.

use super::super::error::{FailureClass as Cause, Malformed, UpstreamFailure};
use super::super::headers::{Origin, RateLimits};
use claviger_domain::orchestration::{FailureClass, StopReason, Usage};
use claviger_domain::timestamp::Timestamp;
use futures::stream::BoxStream;

/// A call under way. It begins when it is first polled; dropping it ends the request. The last item is `Ended` or `Failed`.
pub type CallStream = BoxStream<'static, CallItem>;

/// One thing that a call tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallItem {
    /// The message begins.
    Started {
        /// Its id.
        message_id: String,
        /// The input, and the first of the output.
        usage: Usage,
    },
    /// The upstream began again by itself: all text before this is void.
    Restarted {
        /// The new message's id.
        message_id: String,
        /// Of the new message.
        usage: Usage,
        /// Of the message that is void, as far as it was told.
        void: Usage,
    },
    /// The next text, never empty.
    Text(String),
    /// All tokens up to now.
    Usage(Usage),
    /// The message is whole.
    Ended(Box<CallEnd>),
    /// There will be no whole message.
    Failed(Box<CallFailure>),
}

/// The end of a whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEnd {
    /// Why it ended.
    pub stop_reason: StopReason,
    /// All tokens.
    pub usage: Usage,
    /// Bytes of thinking that were passed over.
    pub thinking_bytes: u64,
    /// Who answered.
    pub origin: Origin,
    /// What is left to the key's organisation.
    pub limits: RateLimits,
}

/// Why there is no whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure {
    /// What decides what happens next.
    pub class: FailureClass,
    /// When a limit ends, where the answer says so.
    pub until: Option<Timestamp>,
    /// How long upstream asks to wait, in milliseconds; at most a day.
    pub retry_after_ms: Option<u64>,
    /// `x-should-retry`.
    pub should_retry: Option<bool>,
    /// Upstream's HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
    /// Tokens of what was received.
    pub usage: Usage,
    /// It may have cost more than `usage` says.
    pub maybe_billed: bool,
    /// Who answered.
    pub origin: Origin,
    /// What is left to the key's organisation.
    pub limits: RateLimits,
    /// One sentence for a person, in our own words.
    pub message: String,
}

impl CallFailure {
    /// A failure of this class, before any answer and without a cost.
    pub(crate) fn bare(class: FailureClass, message: &str) -> Self {
        Self {
            class,
            until: None,
            retry_after_ms: None,
            should_retry: None,
            status: None,
            usage: Usage::default(),
            maybe_billed: false,
            origin: Origin::default(),
            limits: RateLimits::default(),
            message: message.to_owned(),
        }
    }

    /// The same failure as a run sees it. A refusal by status costs nothing; what broke off, or never answered, may have.
    pub(super) fn of(failure: UpstreamFailure, usage: Usage, limits: RateLimits) -> Self {
        let until = match failure.class {
            Cause::RateLimited { until } => until,
            Cause::SpendLimit { until } => Some(until),
            Cause::Authentication
            | Cause::Billing
            | Cause::OnHold
            | Cause::Permission
            | Cause::NotFound
            | Cause::InvalidRequest
            | Cause::Conflict
            | Cause::TooLarge
            | Cause::Overloaded
            | Cause::Server
            | Cause::Network
            | Cause::Timeout
            | Cause::Malformed(_) => None,
        };
        Self {
            class: class_of(&failure),
            until,
            retry_after_ms: failure.retry_after_ms,
            should_retry: failure.should_retry,
            status: failure.status,
            usage,
            maybe_billed: failure.sent
                && failure.status.is_none_or(|status| (200..300).contains(&status)),
            message: failure.to_string(),
            origin: failure.origin,
            limits,
        }
    }
}

/// What a run does about it (`UPSTREAM.md`, section 1). A model that this key doesn't know is a matter of the key.
fn class_of(failure: &UpstreamFailure) -> FailureClass {
    match failure.class {
        Cause::Authentication => FailureClass::Authentication,
        Cause::Billing | Cause::OnHold => FailureClass::Credit,
        Cause::NotFound if failure.names_model => FailureClass::Permission,
        Cause::Permission => FailureClass::Permission,
        Cause::RateLimited { .. } => FailureClass::RateLimit,
        Cause::SpendLimit { .. } => FailureClass::SpendLimit,
        Cause::NotFound | Cause::InvalidRequest | Cause::Conflict | Cause::TooLarge => {
            FailureClass::Request
        }
        Cause::Overloaded | Cause::Server => FailureClass::Overloaded,
        Cause::Network | Cause::Malformed(Malformed::Cut) => FailureClass::Connection,
        Cause::Timeout => FailureClass::Timeout,
        Cause::Malformed(Malformed::TooBig | Malformed::Unreadable | Malformed::Redirect) => {
            FailureClass::Protocol
        }
    }
}

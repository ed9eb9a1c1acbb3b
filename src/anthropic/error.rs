//! Every way in which a call can fail, in one classification that key tests and runs share.
//!
//! Only an answer in Anthropic's own form says something about a key ([`UpstreamFailure::from_answer`]).
//! Anthropic's words are kept for the user, without secrets and never for the log. The transport's
//! error is not kept, since its text may contain an address; only its [`io::ErrorKind`] is.

use super::fault::{Fault, class_of};
pub use super::headers::{Origin, RateLimits, Window};
use super::headers::{clean_id, retry_after_ms};
use super::words::clean;
use crate::sse::decode::TooBig;
use claviger_domain::timestamp::Timestamp;
use reqwest::header::HeaderMap;
use std::error::Error;
use std::{fmt, io};

/// The kind of failure, which decides how to react.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The key is malformed, revoked or expired.
    Authentication,
    /// No credit behind the key.
    Billing,
    /// The organisation is on hold.
    OnHold,
    /// The organisation, or the key's workspace, is disabled.
    Disabled,
    /// The key may not use the model or the resource.
    Permission,
    /// The model does not exist for this key.
    NoModel,
    /// Too many requests or tokens at the moment.
    RateLimited {
        /// When the limit ends, if the response includes it.
        until: Option<Timestamp>,
    },
    /// The organisation's or workspace's spend limit is reached.
    SpendLimit {
        /// The first of the next month, UTC: these responses carry no `retry-after`.
        until: Timestamp,
    },
    /// Our request was invalid.
    InvalidRequest,
    /// 409.
    Conflict,
    /// 413, from Anthropic or something before it.
    TooLarge,
    /// The prompt, or prompt and answer together, are longer than the model takes.
    TooLong,
    /// 529: Anthropic is overloaded, for all customers.
    Overloaded,
    /// 5xx.
    Server,
    /// No connection, or one that ended before a response.
    Network,
    /// No complete response within the time allowed.
    Timeout,
    /// An error response that is not Anthropic's, or one about the way to it.
    Between(Between),
    /// A response that Anthropic's API would not send.
    Malformed(Malformed),
}

/// What lies between this server and Anthropic's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// Something answered that is not Anthropic: a proxy, a gateway, a network that wants a sign-in.
    Other,
    /// Anthropic does not serve the place that the request comes from.
    Region,
    /// The configured address does not serve the request.
    Address,
    /// The request looked like a browser's: something added a header.
    Origin,
}

/// Why a response could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It ended too early.
    Cut,
    /// It was longer than the limit.
    TooBig,
    /// Not of the expected shape.
    Unreadable,
    /// Nothing that Anthropic's API sends: a page, or another service's answer.
    Foreign,
    /// A redirect: never followed, since the key would be sent along.
    Redirect,
}

impl From<TooBig> for Malformed {
    fn from(_: TooBig) -> Self {
        Self::TooBig
    }
}

/// Anthropic's own words, short and without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(pub String);

/// A call without a response, or with an error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFailure {
    pub class: FailureClass,
    /// Upstream's HTTP status; `None` without a response.
    pub status: Option<u16>,
    pub origin: Origin,
    /// How long upstream asks to wait, in milliseconds; at most a day.
    pub retry_after_ms: Option<u64>,
    /// `x-should-retry`, which Anthropic's own client library gives precedence over everything
    /// else.
    pub should_retry: Option<bool>,
    /// Anthropic's reason, for the user it concerns. Content: never for the log.
    pub reason: Option<Box<Reason>>,
    /// Whether the request may have arrived. `false` only if no connection was established, so that
    /// nothing can have been billed.
    pub sent: bool,
    /// The operating system's error on the connection.
    pub io: Option<io::ErrorKind>,
}

impl UpstreamFailure {
    /// Classifies a response whose status is not 2xx, or a stream that sent an `error` event after
    /// a 200. Only an answer with Anthropic's error object or its request id is Anthropic's.
    pub fn from_answer(status: u16, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Self {
        let fault = Fault::read(body);
        let mut origin = Origin::of(headers);
        if origin.request_id.is_none() {
            origin.request_id = fault.request_id.as_deref().and_then(|id| clean_id(id.as_bytes()));
        }
        let should_retry =
            match headers.get("x-should-retry").map(reqwest::header::HeaderValue::as_bytes) {
                Some(b"true") => Some(true),
                Some(b"false") => Some(false),
                _ => None,
            };
        Self {
            class: class_of(status, headers, &fault, now),
            status: Some(status),
            origin,
            retry_after_ms: retry_after_ms(headers, now),
            should_retry,
            reason: Some(clean(&fault.said))
                .filter(|said| !said.is_empty() && fault.is_anthropics(headers))
                .map(|said| Box::new(Reason(said))),
            sent: true,
            io: None,
        }
    }

    /// Classifies a transport failure: before any response, or after a response head with this
    /// `status`.
    pub fn from_transport(error: &reqwest::Error, status: Option<u16>) -> Self {
        let class = if error.is_timeout() {
            FailureClass::Timeout
        } else if status.is_some() {
            FailureClass::Malformed(Malformed::Cut)
        } else if error.is_builder() {
            FailureClass::InvalidRequest
        } else {
            FailureClass::Network
        };
        let sent = !error.is_connect() && !error.is_builder();
        Self { status, sent, io: io_kind(error), ..Self::bare(class) }
    }

    /// A response of this status that cannot be used.
    pub fn malformed(kind: Malformed, status: u16, origin: Origin) -> Self {
        Self { status: Some(status), origin, ..Self::bare(FailureClass::Malformed(kind)) }
    }

    /// A secret that is not a valid header value, so it was never sent: no key looks like that.
    pub(super) fn unsendable() -> Self {
        Self { sent: false, ..Self::bare(FailureClass::InvalidRequest) }
    }

    /// No response in time, or not all of it.
    pub(super) fn late() -> Self {
        Self::bare(FailureClass::Timeout)
    }

    fn bare(class: FailureClass) -> Self {
        Self {
            class,
            status: None,
            origin: Origin::default(),
            retry_after_ms: None,
            should_retry: None,
            reason: None,
            sent: true,
            io: None,
        }
    }
}

impl UpstreamFailure {
    /// The failure in words, with Anthropic's reason: for the user, not for the log.
    pub fn in_words(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{self}: {}", reason.0),
            None => self.to_string(),
        }
    }

    /// Whether the call may have been billed for more than is known. Anthropic bills no error, but
    /// a gateway may give up on a call that goes on behind it.
    pub fn may_be_billed(&self) -> bool {
        let is_behind = matches!(self.class, FailureClass::Between(_))
            && matches!(self.status, Some(408 | 500..));
        let is_answered = self.status.is_some_and(|status| !(200..300).contains(&status));
        self.sent && (is_behind || !is_answered)
    }
}

impl fmt::Display for UpstreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class.as_words())?;
        // The 200 of an answer that stopped arriving explains nothing.
        let is_plain =
            matches!(self.class, FailureClass::Timeout | FailureClass::Malformed(Malformed::Cut));
        if let Some(status) = self.status.filter(|status| !is_plain || *status >= 300) {
            write!(f, " (HTTP {status})")?;
        }
        self.io.map_or(Ok(()), |kind| write!(f, " ({kind})"))
    }
}

impl FailureClass {
    /// When the limit ends that was hit, if that is known.
    pub(super) const fn limited_until(self) -> Option<Timestamp> {
        if let Self::RateLimited { until } = self {
            until
        } else if let Self::SpendLimit { until } = self {
            Some(until)
        } else {
            None
        }
    }

    const fn as_words(self) -> &'static str {
        match self {
            Self::Authentication => "Anthropic does not accept the key",
            Self::Billing => "no credit behind the key",
            Self::OnHold => "the key's organisation is on hold",
            Self::Disabled => "Anthropic has disabled the key's organisation",
            Self::Permission => "the key may not do this",
            Self::NoModel => "the model does not exist for this key",
            Self::RateLimited { .. } => "the key's organisation is rate-limited",
            Self::SpendLimit { .. } => {
                "the key's organisation or workspace reached its spend limit"
            }
            Self::InvalidRequest => "Anthropic refused the request as invalid",
            Self::Conflict => "Anthropic reported a conflict",
            Self::TooLarge => "the request is too large for Anthropic",
            Self::TooLong => "the request is longer than the model takes",
            Self::Overloaded => "Anthropic is overloaded",
            Self::Server => "Anthropic had an internal error",
            Self::Network => "Anthropic could not be reached",
            Self::Timeout => "Anthropic did not answer in time",
            Self::Between(Between::Other) => {
                "something between this server and Anthropic answered, which says nothing about the key"
            }
            Self::Between(Between::Region) => {
                "Anthropic does not serve the region that this server calls from, which says nothing about the key"
            }
            Self::Between(Between::Address) => {
                "the configured upstream address does not serve this request, which says nothing about the key"
            }
            Self::Between(Between::Origin) => {
                "something between this server and Anthropic made the request look like a browser's, which says nothing about the key"
            }
            Self::Malformed(Malformed::Cut) => "Anthropic's answer was cut off",
            Self::Malformed(Malformed::TooBig) => "Anthropic's answer is longer than allowed",
            Self::Malformed(Malformed::Unreadable) => "Anthropic's answer cannot be read",
            Self::Malformed(Malformed::Foreign) => {
                "something between this server and Anthropic answered: it is no answer of Anthropic's API"
            }
            Self::Malformed(Malformed::Redirect) => {
                "the answer is a redirect, which is never followed with a key"
            }
        }
    }
}

impl Error for UpstreamFailure {}

/// The first operating-system error in the chain of causes.
fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

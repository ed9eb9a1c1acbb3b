//! Facts of a call to a model: its credential, why it ended, what it used.

use crate::id::KeyId;
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a credential comes from, in the order in which candidates are considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSource {
    /// The key that the request named.
    NamedKey,
    /// The user's default key for a context.
    DefaultKey,
    /// The operator's `ANTHROPIC_API_KEY`.
    EnvAnthropicApiKey,
    /// The operator's `CLAUDE_API_KEY`.
    EnvClaudeApiKey,
    /// The operator's `claude` program.
    MaxPlan,
}

/// A credential by reference: never the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Where it comes from.
    pub source: CredentialSource,
    /// The key, if a user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The version of its secret, if a user's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_version: Option<u32>,
}

/// Why a candidate was chosen or passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Used.
    Chosen,
    /// Usable, but a candidate before it was chosen.
    NotNeeded,
    /// Not configured.
    NotSet,
    /// The key is inactive.
    Inactive,
    /// The key has expired.
    Expired {
        /// When it expired.
        at: Timestamp,
    },
    /// The operator does not allow it for this user.
    NotForYou,
}

/// A candidate that was considered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// Where it comes from.
    pub source: CredentialSource,
    /// The key, if a user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Why it was chosen or passed over.
    pub why: Why,
}

/// Which credential a run uses, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// All candidates, in order; exactly one is chosen.
    pub considered: Vec<Considered>,
}

impl Resolution {
    /// The candidate that is used.
    pub fn chosen(&self) -> Option<&Considered> {
        self.considered.iter().find(|candidate| candidate.why == Why::Chosen)
    }
}

/// Tokens of a call, as the upstream counts them. `input`, the cache writes and `cache_read` add up
/// to the whole input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input neither read from nor written to the cache.
    pub input: u64,
    /// Thinking and answer together.
    pub output: u64,
    /// Input written to the cache for five minutes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_5m: u64,
    /// Input written to the cache for an hour.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_1h: u64,
    /// Input read from the cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_read: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_write_5m: self.cache_write_5m.saturating_add(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            cache_read: self.cache_read.saturating_add(other.cache_read),
        }
    }

    /// Input written to the cache, for five minutes or an hour.
    pub const fn cache_write(self) -> u64 {
        self.cache_write_5m.saturating_add(self.cache_write_1h)
    }
}

/// Cost in billionths of a US dollar; `None` if it, or a part of it, is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cost(pub Option<u64>);

impl Default for Cost {
    fn default() -> Self {
        Self(Some(0))
    }
}

impl Cost {
    /// Unknown: the model has no price, or the usage was not received.
    pub const fn unknown() -> Self {
        Self(None)
    }

    /// Whether the cost is unknown.
    pub const fn is_unknown(&self) -> bool {
        self.0.is_none()
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.zip(other.0).map(|(one, two)| one.saturating_add(two)))
    }
}

/// Why a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model ended its turn.
    EndTurn,
    /// The model produced a stop sequence.
    StopSequence,
    /// The limit of tokens was reached: the text is truncated.
    MaxTokens,
    /// The model's context window is full: the text is truncated.
    ContextWindow,
    /// A reason unknown to this program.
    Other,
}

impl StopReason {
    /// The upstream's name of the reason.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndTurn => "end_turn",
            Self::StopSequence => "stop_sequence",
            Self::MaxTokens => "max_tokens",
            Self::ContextWindow => "model_context_window_exceeded",
            Self::Other => "other",
        }
    }
}

/// Why an attempt failed, classified by what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The upstream rejects the request as it is: not retried.
    Request,
    /// The request is longer than the model, the upstream or something before it takes: not
    /// retried.
    TooLarge,
    /// The key is malformed, revoked or expired: not retried.
    Authentication,
    /// No credit, or the organisation is on hold: not retried.
    Credit,
    /// The upstream has disabled the key's organisation: not retried.
    Disabled,
    /// The key has no access to the model: not retried.
    Permission,
    /// A rate limit was hit: retried when it ends, and the attempt does not count.
    RateLimit,
    /// A spend limit was hit: pauses the run, and the attempt does not count.
    SpendLimit,
    /// The upstream is overloaded or has an internal error: retried after a backoff.
    Overloaded,
    /// Something else answered than the upstream, or the way to it is closed: says nothing about
    /// the key. Retried after a backoff.
    Between,
    /// No response, or one that broke off: retried after a backoff.
    Connection,
    /// The call took longer than allowed: retried after a backoff.
    Timeout,
    /// The response violates the protocol: retried after a backoff.
    Protocol,
    /// The reply is not in the required form: retried once.
    InvalidOutput,
    /// The model refused to answer: not retried.
    Refusal,
    /// The process that made the call stopped before its end: retried at once, and the attempt does
    /// not count.
    Interrupted,
    /// The upstream restarted the answer by itself: the text received before is void, and the
    /// attempt does not count.
    Restarted,
    /// The run was cancelled, or failed because of another agent.
    Cancelled,
}

/// Whose fault a failed call is, which decides what would help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The upstream's or the network's, and it passes by itself.
    Transient,
    /// A limit of the key's organisation or workspace, which ends at a time.
    Limited,
    /// The key's, its organisation's or its permissions': the user has to change something there.
    Credential,
    /// Of something between this server and the upstream, or of the configured address: the
    /// operator's.
    Between,
    /// The request's: what the user, or the run for them, asked.
    Input,
    /// The model's reply was not usable.
    Reply,
    /// This program ended the call.
    Own,
}

impl FailureClass {
    /// Whose fault it is.
    pub const fn fault(self) -> Fault {
        match self {
            Self::Overloaded | Self::Connection | Self::Timeout | Self::Protocol => {
                Fault::Transient
            }
            Self::RateLimit | Self::SpendLimit => Fault::Limited,
            Self::Authentication | Self::Credit | Self::Disabled | Self::Permission => {
                Fault::Credential
            }
            Self::Between => Fault::Between,
            Self::Request | Self::TooLarge => Fault::Input,
            Self::InvalidOutput | Self::Refusal => Fault::Reply,
            Self::Interrupted | Self::Restarted | Self::Cancelled => Fault::Own,
        }
    }

    /// The name that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::TooLarge => "too_large",
            Self::Authentication => "authentication",
            Self::Credit => "credit",
            Self::Disabled => "disabled",
            Self::Permission => "permission",
            Self::RateLimit => "rate_limit",
            Self::SpendLimit => "spend_limit",
            Self::Overloaded => "overloaded",
            Self::Between => "between",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::InvalidOutput => "invalid_output",
            Self::Refusal => "refusal",
            Self::Interrupted => "interrupted",
            Self::Restarted => "restarted",
            Self::Cancelled => "cancelled",
        }
    }
}

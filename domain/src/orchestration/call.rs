//! What can be said of a call to a model: on which credential, why it ended, what it used.

use crate::id::KeyId;
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a credential comes from, in the order in which it is looked for.
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

/// A credential, by name: never the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Where it comes from.
    pub source: CredentialSource,
    /// The key, where it is a user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Which version of its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_version: Option<u32>,
}

/// Why a candidate was taken or passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is the one.
    Chosen,
    /// It could have been used, but one before it was.
    NotNeeded,
    /// There is none.
    NotSet,
    /// The key is inactive.
    Inactive,
    /// The key's time is up.
    Expired {
        /// When it was up.
        at: Timestamp,
    },
    /// The operator lets it serve others only.
    NotForYou,
}

/// A credential that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// Where it comes from.
    pub source: CredentialSource,
    /// The key, where it is a user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Taken or passed over, and why.
    pub why: Why,
}

/// Which credential a run uses, and how it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Everything looked at, in order; exactly one is chosen.
    pub considered: Vec<Considered>,
}

impl Resolution {
    /// The one that is used.
    pub fn chosen(&self) -> Option<&Considered> {
        self.considered.iter().find(|candidate| candidate.why == Why::Chosen)
    }
}

/// Tokens of a call, as the upstream counts them. The three inputs add up to the whole input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input that came from no cache and went to none.
    pub input: u64,
    /// Thinking and answer.
    pub output: u64,
    /// Input written to the cache, for five minutes or an hour.
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
    /// Both together.
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

    /// Input written to the cache, for however long.
    pub const fn cache_write(self) -> u64 {
        self.cache_write_5m.saturating_add(self.cache_write_1h)
    }
}

/// What a call cost, in billionths of a US dollar; unknown as soon as a part of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cost(pub Option<u64>);

impl Default for Cost {
    fn default() -> Self {
        Self(Some(0))
    }
}

impl Cost {
    /// Not known: the model is unpriced, or nobody heard what was used.
    pub const fn unknown() -> Self {
        Self(None)
    }

    /// Isn't known.
    pub const fn is_unknown(&self) -> bool {
        self.0.is_none()
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.zip(other.0).map(|(one, two)| one.saturating_add(two)))
    }
}

/// Why a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model was done.
    EndTurn,
    /// It came to a word to stop at.
    StopSequence,
    /// It had no more tokens: the text is cut.
    MaxTokens,
    /// The conversation is as long as the model can take: the text is cut.
    ContextWindow,
    /// A reason that this program doesn't know.
    Other,
}

impl StopReason {
    /// The upstream's own word.
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

/// Why an attempt failed: what decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Our request can't be served as it is: never again.
    Request,
    /// The key is malformed, revoked or expired.
    Authentication,
    /// No credit, or the organisation is on hold.
    Credit,
    /// The key may not use the model, or doesn't know it.
    Permission,
    /// Too fast: waits for `retry_at`, and the attempt doesn't count.
    RateLimit,
    /// A limit of spending: pauses the run.
    SpendLimit,
    /// The upstream is in trouble: again after a pause.
    Overloaded,
    /// No answer, or one that broke off: again after a pause.
    Connection,
    /// It took longer than allowed.
    Timeout,
    /// The answer isn't what the protocol says.
    Protocol,
    /// The answer isn't in the form that was asked for: asked once more.
    InvalidOutput,
    /// The model refused.
    Refusal,
    /// The process that called was gone before the end.
    Interrupted,
    /// The upstream began again by itself: what was received is void.
    Restarted,
    /// Somebody stopped the run, or another agent's failure did.
    Cancelled,
}

impl FailureClass {
    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Authentication => "authentication",
            Self::Credit => "credit",
            Self::Permission => "permission",
            Self::RateLimit => "rate_limit",
            Self::SpendLimit => "spend_limit",
            Self::Overloaded => "overloaded",
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

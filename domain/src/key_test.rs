//! What a test of a key can say.

use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a test goes, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyTestLevel {
    /// `GET /v1/models?limit=1`: costs nothing.
    Authentic,
    /// `count_tokens` on the model: costs nothing.
    Model,
    /// A message of one token: the only proof of credit.
    Full,
}

/// The test in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyTestStatus {
    /// Usable.
    Success,
    /// The credential is at fault.
    Failed,
    /// Network, rate limit or upstream trouble: no evidence about the key.
    Inconclusive,
}

/// One answer of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Shown to be so.
    Yes,
    /// Shown not to be so.
    No,
    /// Not shown either way.
    Unknown,
}

/// What a test showed, as facts: nothing in here is personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyVerdict {
    /// The test in one word.
    pub status: KeyTestStatus,
    /// Does Anthropic know the key?
    pub authentic: Verdict,
    /// Is there credit behind it?
    pub has_credit: Verdict,
    /// May it use the model?
    pub model_allowed: Verdict,
    /// When the rate limit that was met ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limited_until: Option<Timestamp>,
    /// Upstream's HTTP status; `None` when there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    /// From sending to the verdict, in milliseconds.
    pub duration_ms: u64,
}

/// The words around a verdict: may name an organisation, so they are content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTestNotes {
    /// One sentence for a person, saying what to do.
    pub message: String,
    /// `anthropic-organization-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// `anthropic-workspace-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// `request-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
}

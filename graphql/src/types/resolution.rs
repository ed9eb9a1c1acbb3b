//! Which credential would be used, and why; and the models there are.

use super::key::ApiKey;
use async_graphql::{Enum, ID, SimpleObject};
use claviger_application::{Candidate, ModelInfo, Source};
use claviger_domain::id::UserId;

/// Where a credential comes from, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Source")]
pub(crate) enum CredentialSource {
    /// The key that the request names: it is used, or the request is refused.
    NamedKey,
    /// The user's default key of the context, then of "default".
    DefaultKey,
    /// The operator's environment variable.
    EnvAnthropicApiKey,
    /// The operator's environment variable.
    EnvClaudeApiKey,
    /// The operator's `claude` program.
    MaxPlan,
}

/// One credential that was looked at.
#[derive(Clone, SimpleObject)]
pub(crate) struct CredentialCandidate {
    /// Where it comes from.
    source: CredentialSource,
    /// The key, where it is one.
    key: Option<ApiKey>,
    /// A run would use it.
    chosen: bool,
    /// Why, or why not.
    reason: String,
}

/// Which credential would be used, and why the others not.
#[derive(Clone, SimpleObject)]
pub(crate) struct CredentialResolution {
    /// The one; null when there is none.
    chosen: Option<CredentialCandidate>,
    /// All that were looked at, in order.
    pub(crate) candidates: Vec<CredentialCandidate>,
}

impl CredentialResolution {
    pub(crate) fn of(owner: UserId, candidates: Vec<Candidate>) -> Self {
        let candidates: Vec<_> = candidates
            .into_iter()
            .map(|candidate| CredentialCandidate {
                source: candidate.source.into(),
                key: candidate.key.map(|view| ApiKey { owner, view }),
                chosen: candidate.chosen,
                reason: candidate.reason,
            })
            .collect();
        Self { chosen: candidates.iter().find(|candidate| candidate.chosen).cloned(), candidates }
    }
}

/// A model of Anthropic's.
#[derive(Clone, SimpleObject)]
pub(crate) struct Model {
    /// Anthropic's own id.
    id: ID,
    /// Name for people.
    name: String,
    /// Used where a request names none.
    is_default: bool,
    /// Most tokens in.
    max_input_tokens: Option<i32>,
    /// Most tokens out.
    max_output_tokens: Option<i32>,
    /// A price is known.
    priced: bool,
}

impl From<ModelInfo> for Model {
    fn from(model: ModelInfo) -> Self {
        Self {
            id: ID(model.id),
            name: model.name,
            is_default: model.is_default,
            max_input_tokens: model.max_input_tokens,
            max_output_tokens: model.max_output_tokens,
            priced: model.priced,
        }
    }
}

//! Which credential would be used, and why; and the known models.

use super::key::ApiKey;
use async_graphql::{Enum, ID, SimpleObject};
use claviger_application::{Candidate, ModelInfo};
use claviger_domain::id::UserId;
use claviger_domain::orchestration::CredentialSource as Source;

/// The sources of credentials, in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Source")]
pub(crate) enum CredentialSource {
    /// The key named by the request. It is used, or the request is refused.
    NamedKey,
    /// The user's default key of the context, then that of "default".
    DefaultKey,
    /// The operator's environment variable `ANTHROPIC_API_KEY`.
    EnvAnthropicApiKey,
    /// The operator's environment variable `CLAUDE_API_KEY`.
    EnvClaudeApiKey,
    /// The operator's `claude` program.
    MaxPlan,
}

/// One credential that was considered.
#[derive(Clone, SimpleObject)]
pub(crate) struct CredentialCandidate {
    /// The source of the credential.
    source: CredentialSource,
    /// The key, if the credential is one of the user's keys.
    key: Option<ApiKey>,
    /// Whether an orchestration would use this credential.
    chosen: bool,
    /// Why it is chosen, or why not.
    reason: String,
}

/// Which credential would be used, and why not the others.
#[derive(Clone, SimpleObject)]
pub(crate) struct CredentialResolution {
    /// The chosen credential; null if none is usable.
    chosen: Option<CredentialCandidate>,
    /// All candidates, in the order of preference.
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

/// A model that Anthropic offers.
#[derive(Clone, SimpleObject)]
pub(crate) struct Model {
    /// Anthropic's id of the model.
    id: ID,
    /// Display name.
    name: String,
    /// Whether requests that name no model use this one.
    is_default: bool,
    /// Maximum input tokens.
    max_input_tokens: Option<i32>,
    /// Maximum output tokens.
    max_output_tokens: Option<i32>,
    /// Whether a price is known.
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

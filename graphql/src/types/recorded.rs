//! A recorded resolution: reasons as sentences, as the query `resolution` gives them, and keys in
//! their current state.

use super::resolution::CredentialResolution;
use super::{fault, ports};
use async_graphql::{Context, Error};
use claviger_application::Candidate;
use claviger_domain::id::UserId;
use claviger_domain::orchestration::{Considered, CredentialSource, Why};

impl CredentialResolution {
    /// The recorded candidates; `context` is the run's context, if it can be read.
    pub(crate) async fn recorded(
        ctx: &Context<'_>,
        owner: UserId,
        considered: &[Considered],
        context: Option<&str>,
    ) -> Result<Self, Error> {
        let mut candidates = Vec::with_capacity(considered.len());
        // The default key of the run's own context comes first, then that of "default".
        let mut contexts = [context, Some("default")].into_iter();
        for one in considered {
            let key = match one.key {
                Some(key) => ports(ctx)?.reads.key(owner, key).await.map_err(fault)?,
                None => None,
            };
            let context = if one.source == CredentialSource::DefaultKey {
                contexts.next().flatten()
            } else {
                None
            };
            let chosen = one.why == Why::Chosen;
            candidates.push(Candidate {
                source: one.source.into(),
                key,
                chosen,
                why: one.why,
                reason: reason(one, context),
            });
        }
        Ok(Self::of(owner, candidates))
    }
}

/// Why the candidate was chosen or passed over.
fn reason(considered: &Considered, context: Option<&str>) -> String {
    let what = match considered.source {
        CredentialSource::NamedKey => {
            return of_key(considered.why, "there is no such key of yours");
        }
        CredentialSource::DefaultKey => {
            let of = context.map_or_else(
                || "its context".to_owned(),
                |context| format!("the context {context:?}"),
            );
            if considered.why == Why::NotSet {
                return format!("you have no default key for {of}");
            }
            return format!(
                "your default key for {of}: {}",
                of_key(considered.why, "there is none")
            );
        }
        CredentialSource::EnvAnthropicApiKey => "ANTHROPIC_API_KEY",
        CredentialSource::EnvClaudeApiKey => "CLAUDE_API_KEY",
        CredentialSource::MaxPlan => return of_plan(considered.why),
    };
    match considered.why {
        Why::Chosen => format!("{what} is set on the server"),
        Why::NotNeeded => format!("{what} is set on the server, but one before it is used"),
        Why::NotSet => format!("{what} is not set on the server"),
        Why::NotForYou => "the operator lets it serve others only".to_owned(),
        Why::Inactive => "it is inactive".to_owned(),
        Why::Expired { at } => format!("it expired at {at}"),
    }
}

fn of_key(why: Why, none: &str) -> String {
    match why {
        Why::Chosen => "it is active".to_owned(),
        Why::NotNeeded => "it is active, but one before it is used".to_owned(),
        Why::NotSet => none.to_owned(),
        Why::Inactive => "it is inactive".to_owned(),
        Why::Expired { at } => format!("it expired at {at}"),
        Why::NotForYou => "it is somebody else's".to_owned(),
    }
}

fn of_plan(why: Why) -> String {
    match why {
        Why::Chosen => "the operator switched it on",
        Why::NotNeeded => "the operator switched it on, but one before it is used",
        Why::NotSet | Why::Inactive | Why::Expired { .. } => "the operator has not switched it on",
        Why::NotForYou => "the operator lets it serve others only",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_domain::timestamp::Timestamp;

    #[test]
    fn each_reason_is_the_sentence_that_the_query_gives() {
        use CredentialSource::{
            DefaultKey, EnvAnthropicApiKey, EnvClaudeApiKey, MaxPlan, NamedKey,
        };
        let expired = Why::Expired { at: Timestamp(1_760_000_000_000) };
        let cases = [
            (NamedKey, Why::Chosen, None, "it is active"),
            (NamedKey, Why::NotSet, None, "there is no such key of yours"),
            (NamedKey, Why::Inactive, None, "it is inactive"),
            (NamedKey, expired, None, "it expired at 2025-10-09T08:53:20.000Z"),
            (
                DefaultKey,
                Why::NotSet,
                Some("work"),
                "you have no default key for the context \"work\"",
            ),
            (DefaultKey, Why::NotSet, None, "you have no default key for its context"),
            (
                DefaultKey,
                Why::Chosen,
                Some("work"),
                "your default key for the context \"work\": it is active",
            ),
            (
                DefaultKey,
                Why::Inactive,
                Some("default"),
                "your default key for the context \"default\": it is inactive",
            ),
            (
                DefaultKey,
                Why::NotNeeded,
                Some("default"),
                "your default key for the context \"default\": it is active, but one before it is used",
            ),
            (EnvAnthropicApiKey, Why::NotSet, None, "ANTHROPIC_API_KEY is not set on the server"),
            (EnvAnthropicApiKey, Why::Chosen, None, "ANTHROPIC_API_KEY is set on the server"),
            (
                EnvClaudeApiKey,
                Why::NotNeeded,
                None,
                "CLAUDE_API_KEY is set on the server, but one before it is used",
            ),
            (EnvClaudeApiKey, Why::NotForYou, None, "the operator lets it serve others only"),
            (MaxPlan, Why::NotSet, None, "the operator has not switched it on"),
            (MaxPlan, Why::Chosen, None, "the operator switched it on"),
            (
                MaxPlan,
                Why::NotNeeded,
                None,
                "the operator switched it on, but one before it is used",
            ),
        ];
        for (source, why, context, expected) in cases {
            assert_eq!(reason(&Considered { source, key: None, why }, context), expected);
        }
    }
}

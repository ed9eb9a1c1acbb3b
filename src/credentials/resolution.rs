//! Decides which credential a run would use, and why. The order: the user's default key of the
//! context, the default key of the context "default", the operator's environment, Max Plan. If a
//! key is named, only that key may be used.

use crate::reads::StoreReads;
use claviger_application::{Caller, Candidate, Reads as _, Source};
use claviger_domain::actor::Role;
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::key_test::KeyTestStatus;
use claviger_domain::orchestration::{Considered, CredentialSource, Resolution, Why};
use claviger_domain::text::Context;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::keys::KeyView;

/// Which users may use the operator's environment keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvKeysFor {
    All,
    Admins,
    Nobody,
}

/// The credentials available besides users' keys. The secrets themselves stay in the configuration.
#[derive(Clone, Debug)]
pub struct CredentialPolicy {
    /// `ANTHROPIC_API_KEY` is set and not empty.
    pub anthropic_api_key: bool,
    /// `CLAUDE_API_KEY` is set and not empty.
    pub claude_api_key: bool,
    /// Which users may use them.
    pub env_keys_for: EnvKeysFor,
    /// The operator's `claude` program may be used.
    pub max_plan: bool,
}

impl StoreReads {
    pub(crate) async fn resolve(
        &self,
        caller: Caller,
        context: Context,
        key: Option<KeyId>,
    ) -> Result<Vec<Candidate>, Failure> {
        let now = self.env.clock.now();
        if let Some(key) = key {
            let view = self.key(caller.user, key).await?;
            let (why, reason) = match &view {
                None => (Why::NotSet, "there is no such key of yours".to_owned()),
                Some(view) => judge(view, now),
            };
            return Ok(vec![candidate(Source::NamedKey, view, why, reason)]);
        }
        let mut candidates = vec![self.default_candidate(caller.user, &context, now).await?];
        if context.as_str() != "default"
            && let Ok(fallback) = Context::parse("default")
        {
            candidates.push(self.default_candidate(caller.user, &fallback, now).await?);
        }
        candidates.extend(self.policy.candidates(&caller));
        choose_first(&mut candidates);
        Ok(candidates)
    }

    async fn default_candidate(
        &self,
        user: UserId,
        context: &Context,
        now: Timestamp,
    ) -> Result<Candidate, Failure> {
        let view = self.default_key(user, context.clone()).await?;
        let name = context.as_str();
        let (why, reason) = match &view {
            None => (Why::NotSet, format!("you have no default key for the context {name:?}")),
            Some(view) => {
                let (why, reason) = judge(view, now);
                (why, format!("your default key for the context {name:?}: {reason}"))
            }
        };
        Ok(candidate(Source::DefaultKey, view, why, reason))
    }
}

/// Whether a key can be used now. A failed test or a rate limit is shown, but is never a reason to
/// fall back to another payer's credential.
fn judge(view: &KeyView, now: Timestamp) -> (Why, String) {
    if !view.facts.is_active {
        return (Why::Inactive, "it is inactive".to_owned());
    }
    if let Some(at) = view.facts.expires_at.filter(|at| *at <= now) {
        return (Why::Expired { at }, format!("it expired at {at}"));
    }
    let last = match &view.facts.last_test {
        None => ", never tested",
        Some(test) => match test.verdict.status {
            KeyTestStatus::Success => ", its last test succeeded",
            KeyTestStatus::Failed => ", though its last test failed",
            KeyTestStatus::Inconclusive => ", its last test was inconclusive",
        },
    };
    (Why::Chosen, format!("it is active{last}"))
}

fn candidate(source: Source, key: Option<KeyView>, why: Why, reason: String) -> Candidate {
    Candidate { source, key, chosen: why == Why::Chosen, why, reason }
}

/// What a run records of the candidates.
pub(crate) fn recorded(candidates: &[Candidate]) -> Resolution {
    let source = |source| match source {
        Source::NamedKey => CredentialSource::NamedKey,
        Source::DefaultKey => CredentialSource::DefaultKey,
        Source::EnvAnthropicApiKey => CredentialSource::EnvAnthropicApiKey,
        Source::EnvClaudeApiKey => CredentialSource::EnvClaudeApiKey,
        Source::MaxPlan => CredentialSource::MaxPlan,
    };
    let considered = |candidate: &Candidate| Considered {
        source: source(candidate.source),
        key: candidate.key.as_ref().map(|view| view.id),
        why: candidate.why,
    };
    Resolution { considered: candidates.iter().map(considered).collect() }
}

impl CredentialPolicy {
    fn candidates(&self, caller: &Caller) -> [Candidate; 3] {
        let served = match self.env_keys_for {
            EnvKeysFor::All => Ok(()),
            EnvKeysFor::Admins if caller.roles.contains(&Role::Admin) => Ok(()),
            EnvKeysFor::Admins => Err("the operator lets it serve administrators only"),
            EnvKeysFor::Nobody => Err("the operator lets it serve nobody"),
        };
        let variable = |source, set: bool, name: &str| {
            let (why, reason) = match (set, served) {
                (false, _) => (Why::NotSet, format!("{name} is not set on the server")),
                (true, Err(reason)) => (Why::NotForYou, reason.to_owned()),
                (true, Ok(())) => (Why::Chosen, format!("{name} is set on the server")),
            };
            candidate(source, None, why, reason)
        };
        let (why, plan) = if self.max_plan {
            (Why::Chosen, "the operator switched it on")
        } else {
            (Why::NotSet, "the operator has not switched it on")
        };
        [
            variable(Source::EnvAnthropicApiKey, self.anthropic_api_key, "ANTHROPIC_API_KEY"),
            variable(Source::EnvClaudeApiKey, self.claude_api_key, "CLAUDE_API_KEY"),
            candidate(Source::MaxPlan, None, why, plan.to_owned()),
        ]
    }
}

/// Chooses the first usable candidate, and marks the later usable ones as not needed.
fn choose_first(candidates: &mut [Candidate]) {
    let mut found = false;
    for candidate in candidates {
        if candidate.chosen && found {
            candidate.chosen = false;
            candidate.why = Why::NotNeeded;
            candidate.reason.push_str(", but one before it is used");
        }
        found |= candidate.chosen;
    }
}

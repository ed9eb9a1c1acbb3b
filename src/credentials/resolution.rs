//! Decides which credential a run would use, and why. The order: the user's default key of the
//! context, the default key of the context "default", the operator's environment, Max Plan. If a
//! key is named, only that key may be used.

use super::ModelList;
use crate::system::environment::Clock;
use claviger_application::{
    Answer, Candidate, Circumstances, Credentials, LastTest, ModelInfo, Reads,
};
use claviger_domain::actor::Role;
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::orchestration::{Considered, CredentialSource, Resolution, Why};
use claviger_domain::text::Context;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::keys::KeyView;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Which users may use a credential of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
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
    pub env_keys_for: Sharing,
    /// The operator's `claude` program may be used.
    pub max_plan: bool,
    /// Which users may use it.
    pub max_plan_for: Sharing,
}

/// Resolves credentials.
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct Resolver {
    /// Reads the users' keys.
    pub reads: Arc<dyn Reads>,
    pub clock: Arc<dyn Clock>,
    pub policy: CredentialPolicy,
    pub models: Arc<ModelList>,
}

impl Credentials for Resolver {
    fn resolution(
        &self,
        owner: UserId,
        roles: BTreeSet<Role>,
        context: Context,
        key: Option<KeyId>,
    ) -> Answer<'_, Vec<Candidate>> {
        Box::pin(async move { self.resolve(owner, &roles, &context, key).await })
    }

    fn models(&self) -> Answer<'_, Vec<ModelInfo>> {
        Box::pin(async move { Ok(self.models.list(self.clock.now()).await) })
    }
}

impl Resolver {
    /// The candidates for a run of `owner`, in the order of preference. `roles` are the rights by
    /// which the operator's credentials are allowed.
    pub(crate) async fn resolve(
        &self,
        owner: UserId,
        roles: &BTreeSet<Role>,
        context: &Context,
        key: Option<KeyId>,
    ) -> Result<Vec<Candidate>, Failure> {
        let now = self.clock.now();
        if let Some(key) = key {
            let view = self.reads.key(owner, key).await?;
            return Ok(vec![of_key(CredentialSource::NamedKey, view, now).candidate()]);
        }
        let mut found = vec![self.default_key(owner, context, now).await?];
        if context.as_str() != "default"
            && let Ok(fallback) = Context::parse("default")
        {
            found.push(self.default_key(owner, &fallback, now).await?);
        }
        found.extend(self.policy.found(roles));
        choose_first(&mut found);
        Ok(found.into_iter().map(Found::candidate).collect())
    }

    async fn default_key(
        &self,
        owner: UserId,
        context: &Context,
        now: Timestamp,
    ) -> Result<Found, Failure> {
        let view = self.reads.default_key(owner, context.clone()).await?;
        let found = of_key(CredentialSource::DefaultKey, view, now);
        Ok(Found { context: Some(context.as_str().to_owned()), ..found })
    }
}

/// A candidate before it is known whether one before it is used.
struct Found {
    source: CredentialSource,
    key: Option<KeyView>,
    why: Why,
    /// The context whose default key was looked up.
    context: Option<String>,
    allowed_for: Option<&'static str>,
}

impl Found {
    const fn new(source: CredentialSource, why: Why) -> Self {
        Self { source, key: None, why, context: None, allowed_for: None }
    }

    fn candidate(self) -> Candidate {
        let tested = self.key.as_ref().map(|key| {
            let last = key.facts.last_test.as_ref();
            last.map_or(LastTest::Never, |test| LastTest::Ended(test.verdict.status))
        });
        let (context, allowed_for) = (self.context.as_deref(), self.allowed_for);
        let known = Circumstances { context, tested, allowed_for };
        Candidate::of(self.source, self.key, self.why, known)
    }
}

fn of_key(source: CredentialSource, key: Option<KeyView>, now: Timestamp) -> Found {
    let why = key.as_ref().map_or(Why::NotSet, |view| judge(view, now));
    Found { key, ..Found::new(source, why) }
}

/// Whether a key can be used now. A failed test or a rate limit is shown, but is never a reason to
/// fall back to another payer's credential.
fn judge(view: &KeyView, now: Timestamp) -> Why {
    if !view.facts.is_active {
        return Why::Inactive;
    }
    let expired = view.facts.expires_at.filter(|at| *at <= now);
    expired.map_or(Why::Chosen, |at| Why::Expired { at })
}

/// What a run records of the candidates.
pub(crate) fn recorded(candidates: &[Candidate]) -> Resolution {
    let considered = |candidate: &Candidate| Considered {
        source: candidate.source,
        key: candidate.key.as_ref().map(|view| view.id),
        why: candidate.why,
    };
    Resolution { considered: candidates.iter().map(considered).collect() }
}

impl Sharing {
    /// The users whom the credential serves, where the given roles are not among them.
    fn others(self, roles: &BTreeSet<Role>) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Admins if roles.contains(&Role::Admin) => None,
            Self::Admins => Some("administrators only"),
            Self::Nobody => Some("nobody"),
        }
    }
}

impl CredentialPolicy {
    /// The operator's credentials, all by one rule.
    fn found(&self, roles: &BTreeSet<Role>) -> [Found; 3] {
        let of = |source, is_set: bool, sharing: Sharing| match (is_set, sharing.others(roles)) {
            (false, _) => Found::new(source, Why::NotSet),
            (true, None) => Found::new(source, Why::Chosen),
            (true, others) => Found { allowed_for: others, ..Found::new(source, Why::NotForYou) },
        };
        let (keys, plan) = (self.env_keys_for, self.max_plan_for);
        [
            of(CredentialSource::EnvAnthropicApiKey, self.anthropic_api_key, keys),
            of(CredentialSource::EnvClaudeApiKey, self.claude_api_key, keys),
            of(CredentialSource::MaxPlan, self.max_plan, plan),
        ]
    }
}

/// Uses the first usable candidate, and marks the later usable ones as not needed.
fn choose_first(found: &mut [Found]) {
    let mut usable = found.iter_mut().filter(|one| one.why == Why::Chosen);
    usable.next();
    usable.for_each(|one| one.why = Why::NotNeeded);
}

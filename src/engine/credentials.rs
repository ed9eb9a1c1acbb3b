//! Which credential a call is made with, and the call itself.

use super::parts::Shared;
use crate::anthropic::claude_program::ClaudeProgram;
use crate::anthropic::stream::{CallFailure, CallItem, CallStream, MessageRequest, StreamLimits};
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::orchestration::{Credential, CredentialSource, FailureClass, Resolution};
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::Reliance;
use futures::StreamExt as _;
use futures::stream::{iter, once};
use std::sync::Arc;
use std::time::Duration;

/// Longest time that is allowed for a token of an answer, on average: slower than any model writes.
const TOKEN: Duration = Duration::from_millis(100);

/// The operator's own credentials.
#[derive(Clone, Default)]
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Operator {
    /// The setting `ANTHROPIC_API_KEY`.
    pub anthropic_api_key: Option<SecretText>,
    /// The setting `CLAUDE_API_KEY`.
    pub claude_api_key: Option<SecretText>,
    /// The `claude` program.
    pub program: Option<ClaudeProgram>,
}

/// A credential that may be used now.
#[derive(Clone, Copy)]
pub(super) struct Usable {
    pub(super) credential: Credential,
    /// How long that holds; `None` for the operator's credentials.
    pub(super) standing: Option<Standing>,
}

/// A key may be used as long as its ring is at this version, and before this time. Calls are
/// announced only while that holds.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    ring: (StreamName, u64),
    until: Option<Timestamp>,
}

impl Standing {
    /// What the append that announces the calls relies on.
    pub(super) fn reliance(self) -> Reliance {
        Reliance { unchanged: vec![self.ring], fewer: None }
    }

    /// Whether the key has expired.
    pub(super) fn is_over(self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// Why a call has no credential.
enum Missing {
    /// The secret was replaced since the call was announced.
    Replaced,
    /// The key was deactivated or deleted, or has expired, since the call was announced.
    Withdrawn,
    /// The credential no longer exists, for this reason.
    Gone(&'static str),
    /// It can't be read now.
    Fault,
}

/// The chosen credential with the current version of a key's secret; `None` if it is no longer
/// usable.
pub(super) async fn current(
    shared: &Shared,
    owner: UserId,
    resolution: &Resolution,
) -> Result<Option<Usable>, Failure> {
    let Some(chosen) = resolution.chosen() else { return Ok(None) };
    let (source, key) = (chosen.source, chosen.key);
    let operator = &shared.parts.operator;
    let is_set = match source {
        CredentialSource::NamedKey | CredentialSource::DefaultKey => {
            let Some(key) = key else { return Ok(None) };
            let now = shared.env().clock.now();
            let usable = shared.aggregates().usable_secret(owner, key, now).await?;
            return Ok(usable.map(|usable| {
                let secret_version = Some(usable.secret_version);
                let ring = (StreamName::KeyRing(owner), usable.ring);
                Usable {
                    credential: Credential { source, key: Some(key), secret_version },
                    standing: Some(Standing { ring, until: usable.expires_at }),
                }
            }));
        }
        CredentialSource::EnvAnthropicApiKey => operator.anthropic_api_key.is_some(),
        CredentialSource::EnvClaudeApiKey => operator.claude_api_key.is_some(),
        CredentialSource::MaxPlan => operator.program.is_some(),
    };
    let credential = Credential { source, key: None, secret_version: None };
    Ok(is_set.then_some(Usable { credential, standing: None }))
}

/// The call. No secret is opened and nothing is sent before the first poll: by then the event that
/// announces the call is durable.
pub(super) fn call(
    shared: &Arc<Shared>,
    owner: UserId,
    credential: Credential,
    request: MessageRequest,
) -> CallStream {
    let shared = Arc::clone(shared);
    let limits = limits_of(shared.parts.settings.limits, request.max_tokens);
    once(async move {
        let now = shared.env().clock.now();
        let made = match credential.source {
            CredentialSource::MaxPlan => {
                program_of(&shared, owner).map(|program| program.messages(request, now))
            }
            CredentialSource::NamedKey
            | CredentialSource::DefaultKey
            | CredentialSource::EnvAnthropicApiKey
            | CredentialSource::EnvClaudeApiKey => secret(&shared, owner, credential)
                .await
                .map(|secret| shared.parts.client.messages(&secret, &request, limits, now)),
        };
        made.unwrap_or_else(|missing| iter([CallItem::Failed(Box::new(missing.failure()))]).boxed())
    })
    .flatten()
    .boxed()
}

/// The limits of a call that may write so many tokens: the longer its answer may be, the longer it may
/// take. One that is alive is not cut: what ends it is silence.
fn limits_of(limits: StreamLimits, max_tokens: u32) -> StreamLimits {
    StreamLimits { whole: limits.whole + TOKEN * max_tokens, ..limits }
}

/// Opens the secret for this call, if the key may still be used: the call may have waited since it
/// was announced.
async fn secret(
    shared: &Shared,
    owner: UserId,
    credential: Credential,
) -> Result<SecretText, Missing> {
    let operator = &shared.parts.operator;
    let variable = |secret: &Option<SecretText>| {
        secret.clone().ok_or(Missing::Gone("the server's key is no longer set"))
    };
    match (credential.source, credential.key, credential.secret_version) {
        (CredentialSource::EnvAnthropicApiKey, ..) => variable(&operator.anthropic_api_key),
        (CredentialSource::EnvClaudeApiKey, ..) => variable(&operator.claude_api_key),
        (_, Some(key), Some(version)) => {
            let now = shared.env().clock.now();
            let usable = shared.aggregates().usable_secret(owner, key, now).await;
            match usable.map_err(|_| Missing::Fault)? {
                Some(usable) if usable.secret_version == version => {}
                Some(_) => return Err(Missing::Replaced),
                None => return Err(Missing::Withdrawn),
            }
            let keychain = &shared.parts.reads.keychain;
            let keys = keychain.user(owner).await.map_err(|_| Missing::Fault)?;
            let keys = keys.ok_or(Missing::Gone("the account no longer exists"))?;
            keychain
                .open_secret(&keys, key, version)
                .await
                .map_err(|_| Missing::Fault)?
                .ok_or(Missing::Replaced)
        }
        (
            CredentialSource::NamedKey | CredentialSource::DefaultKey | CredentialSource::MaxPlan,
            ..,
        ) => Err(Missing::Gone("the key no longer exists")),
    }
}

fn program_of(shared: &Shared, owner: UserId) -> Result<ClaudeProgram, Missing> {
    let program = shared.parts.operator.program.as_ref();
    let program = program.ok_or(Missing::Gone("Max Plan is switched off"))?;
    program.for_user(&owner.to_string()).map_err(|_| {
        Missing::Gone("failed to create the directory of the claude program's settings")
    })
}

impl Missing {
    /// The failure of a call that was never sent.
    fn failure(&self) -> CallFailure {
        match self {
            Self::Replaced => CallFailure::bare(
                FailureClass::Interrupted,
                "the key's secret was replaced: the call is retried with the new one",
            ),
            Self::Withdrawn => CallFailure::bare(
                FailureClass::Interrupted,
                "the key was deactivated or deleted, or has expired: the call was not made",
            ),
            Self::Gone(why) => CallFailure::bare(FailureClass::Authentication, why),
            Self::Fault => CallFailure::bare(
                FailureClass::Connection,
                "the key could not be opened: the call is retried",
            ),
        }
    }
}

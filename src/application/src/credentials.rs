//! Which credential a run uses and why, and which models there are.

use crate::command::Answer;
use claviger_domain::actor::Role;
use claviger_domain::id::KeyId;
use claviger_domain::id::UserId;
use claviger_domain::key_test::KeyTestStatus;
use claviger_domain::orchestration::{CredentialSource, Why};
use claviger_domain::text::Context;
use claviger_projections::keys::KeyView;
use std::collections::BTreeSet;

/// One credential that the resolution considered.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The source of the credential.
    pub source: CredentialSource,
    /// The key, if the credential is one of the user's keys.
    pub key: Option<KeyView>,
    /// Whether a run would use this credential.
    pub chosen: bool,
    /// The reason in the form that a run records.
    pub why: Why,
    /// The reason as text for people.
    pub reason: String,
}

/// What is known of a candidate besides its source and the reason. The default is what a run
/// records, which is less than a current resolution has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// The context whose default key was looked up, if it can be read.
    pub context: Option<&'a str>,
    /// The key's last test.
    pub tested: Option<LastTest>,
    /// The users for whom the operator allows the credential, such as "administrators only".
    pub allowed_for: Option<&'static str>,
}

/// The last test of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastTest {
    /// The key was never tested.
    Never,
    /// It ended with this status.
    Ended(KeyTestStatus),
}

impl Candidate {
    /// A candidate with its reason as a sentence.
    pub fn of(
        source: CredentialSource,
        key: Option<KeyView>,
        why: Why,
        circumstances: Circumstances<'_>,
    ) -> Self {
        let reason = reason(source, why, circumstances);
        Self { source, key, chosen: why == Why::Chosen, why, reason }
    }
}

/// Why a candidate was chosen or passed over, as a sentence without its capital and full stop.
pub fn reason(source: CredentialSource, why: Why, known: Circumstances<'_>) -> String {
    match source {
        CredentialSource::NamedKey => of_key(why, "you have no such key", known.tested),
        CredentialSource::DefaultKey => {
            let of = known.context.map_or_else(
                || "its context".to_owned(),
                |context| format!("the context {context:?}"),
            );
            if why == Why::NotSet {
                return format!("you have no default key for {of}");
            }
            let reason = of_key(why, "there is none", known.tested);
            format!("your default key for {of}: {reason}")
        }
        CredentialSource::EnvAnthropicApiKey => of_variable("ANTHROPIC_API_KEY", why, known),
        CredentialSource::EnvClaudeApiKey => of_variable("CLAUDE_API_KEY", why, known),
        CredentialSource::MaxPlan => of_plan(why, known),
    }
}

fn of_key(why: Why, none: &str, tested: Option<LastTest>) -> String {
    let last = match tested {
        None => "",
        Some(LastTest::Never) => ", never tested",
        Some(LastTest::Ended(KeyTestStatus::Success)) => ", its last test succeeded",
        Some(LastTest::Ended(KeyTestStatus::Failed)) => ", though its last test failed",
        Some(LastTest::Ended(KeyTestStatus::Inconclusive)) => ", its last test was inconclusive",
    };
    match why {
        Why::Chosen => format!("it is active{last}"),
        Why::NotNeeded => format!("it is active{last}, but one before it is used"),
        Why::NotSet => none.to_owned(),
        Why::Inactive => "it is inactive".to_owned(),
        Why::Expired { at } => format!("it expired at {at}"),
        Why::NotForYou => "it belongs to another user".to_owned(),
    }
}

fn of_variable(name: &str, why: Why, known: Circumstances<'_>) -> String {
    match why {
        Why::Chosen => format!("{name} is set on the server"),
        Why::NotNeeded => format!("{name} is set on the server, but one before it is used"),
        Why::NotSet => format!("{name} is not set on the server"),
        Why::NotForYou => not_allowed(known),
        Why::Inactive => "it is inactive".to_owned(),
        Why::Expired { at } => format!("it expired at {at}"),
    }
}

fn of_plan(why: Why, known: Circumstances<'_>) -> String {
    match why {
        Why::Chosen => "the operator switched it on".to_owned(),
        Why::NotNeeded => "the operator switched it on, but one before it is used".to_owned(),
        Why::NotSet | Why::Inactive | Why::Expired { .. } => {
            "the operator has not switched it on".to_owned()
        }
        Why::NotForYou => not_allowed(known),
    }
}

fn not_allowed(known: Circumstances<'_>) -> String {
    format!("the operator allows it for {}", known.allowed_for.unwrap_or("others only"))
}

/// A model that can be requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Anthropic's id of the model.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Whether requests that name no model use this one.
    pub is_default: bool,
    /// Maximum input tokens, if known.
    pub max_input_tokens: Option<i32>,
    /// Maximum output tokens, if known.
    pub max_output_tokens: Option<i32>,
    /// Whether a price is known.
    pub priced: bool,
}

/// The port for credentials and models.
pub trait Credentials: Send + Sync {
    /// Which credential a run of `owner` would use now: the candidates in the order of preference.
    /// `roles` are the rights by which the operator's credentials are allowed.
    fn resolution(
        &self,
        owner: UserId,
        roles: BTreeSet<Role>,
        context: Context,
        key: Option<KeyId>,
    ) -> Answer<'_, Vec<Candidate>>;
    /// The models known to the server.
    fn models(&self) -> Answer<'_, Vec<ModelInfo>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_domain::timestamp::Timestamp;

    #[test]
    fn each_reason_is_a_sentence() {
        use CredentialSource::{
            DefaultKey, EnvAnthropicApiKey, EnvClaudeApiKey, MaxPlan, NamedKey,
        };
        let recorded = Circumstances::default();
        let of = |context| Circumstances { context: Some(context), ..recorded };
        let tested = |last| Circumstances { tested: Some(last), ..recorded };
        let expired = Why::Expired { at: Timestamp(1_760_000_000_000) };
        let work = "your default key for the context \"work\"";
        let cases = [
            (NamedKey, Why::Chosen, recorded, "it is active"),
            (NamedKey, Why::Chosen, tested(LastTest::Never), "it is active, never tested"),
            (
                NamedKey,
                Why::NotNeeded,
                tested(LastTest::Ended(KeyTestStatus::Failed)),
                "it is active, though its last test failed, but one before it is used",
            ),
            (NamedKey, Why::NotSet, recorded, "you have no such key"),
            (NamedKey, Why::Inactive, recorded, "it is inactive"),
            (NamedKey, expired, recorded, "it expired at 2025-10-09T08:53:20.000Z"),
            (DefaultKey, Why::NotSet, of("a"), "you have no default key for the context \"a\""),
            (DefaultKey, Why::NotSet, recorded, "you have no default key for its context"),
            (DefaultKey, Why::Chosen, of("work"), &format!("{work}: it is active")),
            (DefaultKey, Why::Inactive, of("work"), &format!("{work}: it is inactive")),
            (
                DefaultKey,
                Why::NotNeeded,
                of("work"),
                &format!("{work}: it is active, but one before it is used"),
            ),
            (
                EnvAnthropicApiKey,
                Why::NotSet,
                recorded,
                "ANTHROPIC_API_KEY is not set on the server",
            ),
            (EnvAnthropicApiKey, Why::Chosen, recorded, "ANTHROPIC_API_KEY is set on the server"),
            (
                EnvClaudeApiKey,
                Why::NotNeeded,
                recorded,
                "CLAUDE_API_KEY is set on the server, but one before it is used",
            ),
            (EnvClaudeApiKey, Why::NotForYou, recorded, "the operator allows it for others only"),
            (MaxPlan, Why::NotSet, recorded, "the operator has not switched it on"),
            (MaxPlan, Why::Chosen, recorded, "the operator switched it on"),
            (
                MaxPlan,
                Why::NotNeeded,
                recorded,
                "the operator switched it on, but one before it is used",
            ),
        ];
        for (source, why, known, expected) in cases {
            assert_eq!(reason(source, why, known), expected);
        }
    }
}

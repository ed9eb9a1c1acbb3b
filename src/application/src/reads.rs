//! Reads of keys, accounts, events and models.

use crate::command::Answer;
use crate::principal::Caller;
use claviger_domain::event::Envelope;
use claviger_domain::id::EventId;
use claviger_domain::id::KeyId;
use claviger_domain::id::SessionId;
use claviger_domain::id::UserId;
use claviger_domain::orchestration::{CredentialSource, Why};
use claviger_domain::text::Context;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::accounts::AccountView;
use claviger_projections::activity::KeyActivity;
use claviger_projections::keys::KeyView;
use claviger_projections::ports::Direction;
use claviger_projections::ports::HistoryFilter;
use claviger_projections::ports::Page;

/// A page of keys.
#[derive(Clone, Debug, Default)]
pub struct KeyPage {
    /// Newest first.
    pub keys: Vec<KeyView>,
    /// How many the user has.
    pub total: u64,
    /// There are more in the direction of the page.
    pub more: bool,
}

/// Where a credential comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract's values")]
pub enum Source {
    NamedKey,
    DefaultKey,
    EnvAnthropicApiKey,
    EnvClaudeApiKey,
    MaxPlan,
}

impl From<CredentialSource> for Source {
    fn from(source: CredentialSource) -> Self {
        match source {
            CredentialSource::NamedKey => Self::NamedKey,
            CredentialSource::DefaultKey => Self::DefaultKey,
            CredentialSource::EnvAnthropicApiKey => Self::EnvAnthropicApiKey,
            CredentialSource::EnvClaudeApiKey => Self::EnvClaudeApiKey,
            CredentialSource::MaxPlan => Self::MaxPlan,
        }
    }
}

/// One credential that was looked at.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where it comes from.
    pub source: Source,
    /// The key, where it is one.
    pub key: Option<KeyView>,
    /// A run would use it.
    pub chosen: bool,
    /// The same as a run records it.
    pub why: Why,
    /// Why, or why not.
    pub reason: String,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Anthropic's id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Used where a request names none.
    pub is_default: bool,
    /// Most tokens in.
    pub max_input_tokens: Option<i32>,
    /// Most tokens out.
    pub max_output_tokens: Option<i32>,
    /// A price is known.
    pub priced: bool,
}

/// An event, opened for its reader.
#[derive(Clone, Debug)]
pub struct EventView {
    /// Everything but the payload.
    pub envelope: Envelope,
    /// For everybody who may see the event.
    pub facts: serde_json::Value,
    /// For its owner; `None` once erased.
    pub content: Option<serde_json::Value>,
}

/// Reads.
pub trait Reads: Send + Sync {
    /// Waits until the views have reached a position, or answers `VIEW_BEHIND`.
    fn reach(&self, position: u64) -> Answer<'_, ()>;
    /// Position of the last event.
    fn head(&self) -> Answer<'_, u64>;
    /// The account of a user.
    fn account(&self, user: UserId) -> Answer<'_, Option<AccountView>>;
    /// What calls with a key taught about it; `None` before the first, for foreign and for unknown keys. Waits until the view of activity has
    /// reached a position, or answers `VIEW_BEHIND`.
    fn activity(
        &self,
        user: UserId,
        key: KeyId,
        position: Option<u64>,
    ) -> Answer<'_, Option<KeyActivity>>;
    /// A page of a user's keys.
    fn keys(&self, user: UserId, page: Page) -> Answer<'_, KeyPage>;
    /// A key of a user.
    fn key(&self, user: UserId, key: KeyId) -> Answer<'_, Option<KeyView>>;
    /// The default of a context.
    fn default_key(&self, user: UserId, context: Context) -> Answer<'_, Option<KeyView>>;
    /// Which credential a run would use now; the candidates in the order they are looked at.
    fn resolution(
        &self,
        caller: Caller,
        context: Context,
        key: Option<KeyId>,
    ) -> Answer<'_, Vec<Candidate>>;
    /// A user's events.
    fn history(
        &self,
        user: UserId,
        filter: HistoryFilter,
        direction: Direction,
        limit: usize,
    ) -> Answer<'_, Vec<EventView>>;
    /// An event of a user.
    fn event(&self, user: UserId, id: EventId) -> Answer<'_, Option<EventView>>;
    /// A user's sessions, newest first.
    fn sessions(&self, user: UserId) -> Answer<'_, Vec<SessionView>>;
    /// The models there are.
    fn models(&self) -> Answer<'_, Vec<ModelInfo>>;
}

/// A session, for its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last seen.
    pub last_seen_at: Timestamp,
    /// Where it was begun from.
    pub user_agent: Option<String>,
}

//! Reads of keys, accounts and events.

use crate::command::Answer;
use claviger_domain::event::Envelope;
use claviger_domain::id::EventId;
use claviger_domain::id::KeyId;
use claviger_domain::id::SessionId;
use claviger_domain::id::UserId;
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
    /// The keys, newest first.
    pub keys: Vec<KeyView>,
    /// Number of keys that the user has.
    pub total: u64,
    /// Whether more keys follow in the direction of the page.
    pub more: bool,
}

/// An event, opened for its reader.
#[derive(Clone, Debug)]
pub struct EventView {
    /// Everything but the payload.
    pub envelope: Envelope,
    /// The facts, for every reader who may see the event.
    pub facts: serde_json::Value,
    /// The personal content, for the owner; `None` once erased.
    pub content: Option<serde_json::Value>,
}

/// The port for reads of accounts, keys, sessions and events.
pub trait Reads: Send + Sync {
    /// Waits until the views have reached a position; fails with `VIEW_BEHIND` if that takes too
    /// long.
    fn reach(&self, position: u64) -> Answer<'_, ()>;
    /// Position of the last event.
    fn head(&self) -> Answer<'_, u64>;
    /// A user's account; `None` if it does not exist.
    fn account(&self, user: UserId) -> Answer<'_, Option<AccountView>>;
    /// What calls with a key revealed about it; `None` before the first call, and for foreign and
    /// unknown keys. Waits until the activity view has reached a position; fails with `VIEW_BEHIND`
    /// if that takes too long.
    fn activity(
        &self,
        user: UserId,
        key: KeyId,
        position: Option<u64>,
    ) -> Answer<'_, Option<KeyActivity>>;
    /// A page of a user's keys.
    fn keys(&self, user: UserId, page: Page) -> Answer<'_, KeyPage>;
    /// A user's key; `None` for foreign and unknown ids.
    fn key(&self, user: UserId, key: KeyId) -> Answer<'_, Option<KeyView>>;
    /// The default key of a context.
    fn default_key(&self, user: UserId, context: Context) -> Answer<'_, Option<KeyView>>;
    /// A page of a user's events.
    fn history(
        &self,
        user: UserId,
        filter: HistoryFilter,
        direction: Direction,
        limit: usize,
    ) -> Answer<'_, Vec<EventView>>;
    /// A user's event; `None` for foreign and unknown ids.
    fn event(&self, user: UserId, id: EventId) -> Answer<'_, Option<EventView>>;
    /// A user's sessions, newest first.
    fn sessions(&self, user: UserId) -> Answer<'_, Vec<SessionView>>;
}

/// A session, as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Id of the session.
    pub id: SessionId,
    /// When the session began.
    pub created_at: Timestamp,
    /// When the session was last used.
    pub last_seen_at: Timestamp,
    /// The `User-Agent` of the client that began the session.
    pub user_agent: Option<String>,
}

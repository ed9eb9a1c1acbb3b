//! What the schema needs of the rest: commands, reads, accounts. The texts were parsed before they come here.

use claviger_domain::actor::{Actor, Role, Via};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::event::Envelope;
use claviger_domain::failure::Failure;
use claviger_domain::id::{CorrelationId, EventId, KeyId, SessionId, UserId};
use claviger_domain::key_test::KeyTestLevel;
use claviger_domain::orchestration::Why;
use claviger_domain::secret::SecretText;
use claviger_domain::stream::StreamName;
use claviger_domain::text::{
    Context, Email, FullName, IdempotencyKey, KeyName, ModelId, Password, Username,
};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::accounts::AccountView;
use claviger_projections::activity::KeyActivity;
use claviger_projections::keys::KeyView;
use claviger_projections::ports::{Direction, HistoryFilter, Page};
use futures::stream::BoxStream;
use std::collections::BTreeSet;
use std::sync::Arc;

pub use crate::run_ports::*;
pub use claviger_projections::ports::BoxFuture;

/// The answer of a port.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// Who asks, once their token and its session were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// The session the token names.
    pub session: SessionId,
    /// What the user may do now.
    pub roles: BTreeSet<Role>,
    /// What an external issuer's token says of itself, if the user came with one.
    pub foreign: Option<ForeignToken>,
}

/// A token that we didn't make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignToken {
    /// When it was made: a session that ended afterwards has ended it.
    pub issued_at: Timestamp,
    /// Until when it is good.
    pub until: Timestamp,
    /// The roles are those that it claims, whatever our account says.
    pub decides_roles: bool,
}

/// What one request carries, whoever asks.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// Ties together all that this request causes.
    pub correlation: CorrelationId,
    /// The client's own words about itself.
    pub user_agent: Option<String>,
    /// Where it comes from: rate limits count by it.
    pub peer: String,
    /// The door.
    pub via: Via,
}

/// Everything about a command on keys but the command.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose keys.
    pub owner: UserId,
    /// Who, through which door.
    pub actor: Actor,
    /// Because of which request.
    pub correlation: CorrelationId,
    /// Makes a repeat harmless.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// A command on keys.
#[expect(missing_debug_implementations, reason = "holds secrets")]
#[expect(missing_docs, reason = "the contract's mutations and their inputs")]
#[derive(Clone)]
pub enum KeyCommand {
    Add {
        name: KeyName,
        secret: ApiKeySecret,
        make_default: Option<bool>,
        context: Context,
        expires_at: Option<Timestamp>,
    },
    Test {
        key: KeyId,
        level: KeyTestLevel,
        model: Option<ModelId>,
    },
    SetDefault {
        key: KeyId,
        context: Context,
        expected: Option<u64>,
    },
    ClearDefault {
        context: Context,
        expected: Option<u64>,
    },
    Activate {
        key: KeyId,
        expected: Option<u64>,
    },
    Deactivate {
        key: KeyId,
        expected: Option<u64>,
    },
    Rename {
        key: KeyId,
        name: KeyName,
        expected: Option<u64>,
    },
    ReplaceSecret {
        key: KeyId,
        secret: ApiKeySecret,
        expected: Option<u64>,
    },
    SetExpiry {
        key: KeyId,
        expires_at: Option<Timestamp>,
        expected: Option<u64>,
    },
    Delete {
        key: KeyId,
        expected: Option<u64>,
    },
}

/// What was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Position of the last event, or the head's where nothing had to be done.
    pub position: u64,
    /// The stream.
    pub stream: StreamName,
    /// Its version.
    pub version: u64,
    /// The events.
    pub event_ids: Vec<EventId>,
    /// This idempotency key had been answered before, and this is that answer.
    pub replayed: bool,
}

/// A command done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDone {
    /// What was committed.
    pub commit: Commit,
    /// The key it was about; `None` where there was none (a context without default).
    pub key: Option<KeyId>,
}

/// Commands on keys.
pub trait KeyCommands: Send + Sync {
    /// Does one. A caller that goes away stops nothing.
    fn run(&self, call: Call, command: KeyCommand) -> Answer<'_, KeyDone>;
}

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

/// Tokens of a session.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Tokens {
    /// For requests.
    pub access: SecretText,
    /// For the next tokens.
    pub refresh: SecretText,
    /// When the access token expires.
    pub expires_at: Timestamp,
    /// Who it is for.
    pub caller: Caller,
}

/// Accounts and sessions.
pub trait Accounts: Send + Sync {
    /// Makes an account and signs in.
    fn register(
        &self,
        info: RequestInfo,
        username: Username,
        email: Email,
        password: Password,
        full_name: Option<FullName>,
    ) -> Answer<'_, Tokens>;
    /// Signs in.
    fn login(
        &self,
        info: RequestInfo,
        username_or_email: String,
        password: SecretText,
    ) -> Answer<'_, Tokens>;
    /// Next tokens of a session.
    fn refresh(&self, info: RequestInfo, refresh_token: SecretText) -> Answer<'_, Tokens>;
    /// Ends the caller's session.
    fn logout(&self, info: RequestInfo, caller: Caller) -> Answer<'_, ()>;
    /// Changes the password: every session ends, and a new one begins.
    fn change_password(
        &self,
        info: RequestInfo,
        caller: Caller,
        current: SecretText,
        new: Password,
    ) -> Answer<'_, Tokens>;
    /// Ends every other session of the caller.
    fn revoke_sessions(&self, info: RequestInfo, caller: Caller) -> Answer<'_, ()>;
    /// A ticket for a stream of the caller's session.
    fn stream_ticket(&self, caller: Caller) -> Answer<'_, StreamTicket>;
}

/// For a client that can't send a header with its stream.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct StreamTicket {
    /// Goes into the URL.
    pub ticket: SecretText,
    /// Until when it may be used first.
    pub expires_at: Timestamp,
}

/// Whose events a feed has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One user's, with their content.
    Own(UserId),
    /// Everybody's, without content: for auditors.
    All,
}

/// Events from some point on, each once, in order, without end. A reader may be as slow as it likes.
#[expect(missing_debug_implementations, reason = "a stream")]
pub struct EventFeed {
    /// Where it begins: the feed has what comes after this position.
    pub start: u64,
    /// The events.
    pub events: BoxStream<'static, Result<Arc<EventView>, Failure>>,
}

/// Live feeds.
pub trait Feeds: Send + Sync {
    /// The events after a position, or from now on. `CURSOR_INVALID` for a position that the log hasn't reached.
    fn events(&self, scope: Scope, after: Option<u64>) -> Answer<'_, EventFeed>;
}

/// A face that must know where a subscription stands, whatever the client selects, puts this into the request's data.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "functions")]
pub struct Progress {
    /// Goes before the argument `after`: a cursor the client held when its stream was cut.
    pub resume: Option<String>,
    /// Called with the cursor where the subscription begins, and then with each item's before the item itself.
    pub passed: Arc<dyn Fn(String) + Send + Sync>,
}

/// Everything the schema stands on.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct Ports {
    /// Commands on keys.
    pub keys: Arc<dyn KeyCommands>,
    /// Reads.
    pub reads: Arc<dyn Reads>,
    /// Accounts and sessions.
    pub accounts: Arc<dyn Accounts>,
    /// Live feeds.
    pub feeds: Arc<dyn Feeds>,
    /// Commands on runs.
    pub run_commands: Arc<dyn RunCommands>,
    /// Reads of runs.
    pub run_reads: Arc<dyn RunReads>,
    /// Live feeds of runs.
    pub run_feeds: Arc<dyn RunFeeds>,
}

//! The ports that the schema stands on: commands, reads, accounts. Texts are parsed before they get
//! here.

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

/// The result of a port's method.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// The authenticated caller, after the token and its session were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user who makes the request.
    pub user: UserId,
    /// The session named by the token.
    pub session: SessionId,
    /// The user's current roles.
    pub roles: BTreeSet<Role>,
    /// Present if the user came with an external issuer's token.
    pub foreign: Option<ForeignToken>,
}

/// A token that this server did not issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignToken {
    /// When the token was issued. Ending the session later invalidates the token.
    pub issued_at: Timestamp,
    /// When the token expires.
    pub until: Timestamp,
    /// Whether the roles come from the token's claims instead of the account.
    pub decides_roles: bool,
}

/// Data of one request, whether or not the caller is authenticated.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// Links everything that this request causes.
    pub correlation: CorrelationId,
    /// The client's `User-Agent`, unverified.
    pub user_agent: Option<String>,
    /// The client's address; rate limits count by it.
    pub peer: String,
    /// The API through which the request came.
    pub via: Via,
}

/// Everything that a command needs besides its own input.
#[derive(Clone, Debug)]
pub struct Call {
    /// The user whose stream the command changes.
    pub owner: UserId,
    /// Who acts, and through which API.
    pub actor: Actor,
    /// The request that caused the command.
    pub correlation: CorrelationId,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
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

/// What a command committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Position of the last event, or of the log's head if nothing had to be done.
    pub position: u64,
    /// The stream that was written.
    pub stream: StreamName,
    /// Version of the stream after the commit.
    pub version: u64,
    /// The committed events, in order; empty if nothing had to be done.
    pub event_ids: Vec<EventId>,
    /// Whether this idempotency key was used before and this is the first request's result.
    pub replayed: bool,
}

/// The result of a command on keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDone {
    /// What was committed.
    pub commit: Commit,
    /// The key that the command concerned; `None` if there was none (a context without a default).
    pub key: Option<KeyId>,
}

/// The port for commands on keys.
pub trait KeyCommands: Send + Sync {
    /// Runs one command. A caller that disconnects does not stop it.
    fn run(&self, call: Call, command: KeyCommand) -> Answer<'_, KeyDone>;
}

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

/// The source of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract's values")]
pub enum Source {
    NamedKey,
    DefaultKey,
    EnvAnthropicApiKey,
    EnvClaudeApiKey,
    MaxPlan,
}

/// One credential that the resolution considered.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The source of the credential.
    pub source: Source,
    /// The key, if the credential is one of the user's keys.
    pub key: Option<KeyView>,
    /// Whether a run would use this credential.
    pub chosen: bool,
    /// The reason in the form that a run records.
    pub why: Why,
    /// The reason as text for people.
    pub reason: String,
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
    /// Which credential a run would use now: the candidates in the order of preference.
    fn resolution(
        &self,
        caller: Caller,
        context: Context,
        key: Option<KeyId>,
    ) -> Answer<'_, Vec<Candidate>>;
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
    /// The models known to the server.
    fn models(&self) -> Answer<'_, Vec<ModelInfo>>;
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

/// The tokens of a session.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Tokens {
    /// The access token, for requests.
    pub access: SecretText,
    /// The refresh token, for the next tokens. Works once.
    pub refresh: SecretText,
    /// When the access token expires.
    pub expires_at: Timestamp,
    /// The user and session that the tokens are for.
    pub caller: Caller,
}

/// The port for accounts and sessions.
pub trait Accounts: Send + Sync {
    /// Creates an account and signs in.
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
    /// Issues the next tokens of a session.
    fn refresh(&self, info: RequestInfo, refresh_token: SecretText) -> Answer<'_, Tokens>;
    /// Ends the caller's session.
    fn logout(&self, info: RequestInfo, caller: Caller) -> Answer<'_, ()>;
    /// Changes the password. Every session ends, and a new one begins.
    fn change_password(
        &self,
        info: RequestInfo,
        caller: Caller,
        current: SecretText,
        new: Password,
    ) -> Answer<'_, Tokens>;
    /// Ends every other session of the caller.
    fn revoke_sessions(&self, info: RequestInfo, caller: Caller) -> Answer<'_, ()>;
    /// Issues a ticket for a stream of the caller's session.
    fn stream_ticket(&self, caller: Caller) -> Answer<'_, StreamTicket>;
}

/// A ticket for clients that cannot send a header with a stream request.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct StreamTicket {
    /// The ticket, for the URL.
    pub ticket: SecretText,
    /// When the ticket must have been used for the first time.
    pub expires_at: Timestamp,
}

/// The events that a feed contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One user's events, with their content.
    Own(UserId),
    /// All events, without content: for auditors.
    All,
}

/// The events after some position, each once, in order, without end. A slow reader loses nothing.
#[expect(missing_debug_implementations, reason = "a stream")]
pub struct EventFeed {
    /// The feed contains the events after this position.
    pub start: u64,
    /// The events, in log order.
    pub events: BoxStream<'static, Result<Arc<EventView>, Failure>>,
}

/// The port for live feeds.
pub trait Feeds: Send + Sync {
    /// The events after a position, or from now on. Fails with `CURSOR_INVALID` for a position
    /// beyond the end of the log.
    fn events(&self, scope: Scope, after: Option<u64>) -> Answer<'_, EventFeed>;
}

/// A face that must track a subscription's cursor, whatever fields the client selects, puts this
/// into the request's data.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "functions")]
pub struct Progress {
    /// A cursor that the client held when its stream was cut. Takes precedence over the argument
    /// `after`.
    pub resume: Option<String>,
    /// Called with the cursor where the subscription begins, and then with each item's cursor
    /// before the item itself.
    pub passed: Arc<dyn Fn(String) + Send + Sync>,
}

/// All ports of the schema.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct Ports {
    /// Commands on keys.
    pub keys: Arc<dyn KeyCommands>,
    /// Reads of accounts, keys, sessions and events.
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

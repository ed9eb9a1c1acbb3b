//! Rows beside the log: sealed keys and secrets, credentials, sessions, timers. They change with
//! the events of an append, or by one of the few compare-and-set operations below, which leave no
//! event.

use super::{BoxFuture, StoreError, ViewRow};
use claviger_domain::id::{CommandId, ContextTag, KeyId, SessionId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use uuid::Uuid;

/// A KEK's id, derived from the key, so that a mislabelled key cannot be loaded.
pub type KekId = [u8; 8];

/// A user key (UEK), wrapped by a KEK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserKeyRow {
    /// The user who owns the key.
    pub owner: UserId,
    /// Incremented at each rotation, from 1.
    pub version: u32,
    /// Id of the KEK that wraps the key.
    pub kek: KekId,
    /// Sealed box holding the user key.
    pub wrapped: Vec<u8>,
}

/// A user's index key, wrapped by the user key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexKeyRow {
    /// The user who owns the key.
    pub owner: UserId,
    /// Version of the user key that wraps it.
    pub user_key_version: u32,
    /// Sealed box holding the index key.
    pub wrapped: Vec<u8>,
}

/// A stream's content key, wrapped by its owner's user key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentKeyRow {
    /// The stream whose content the key seals.
    pub stream: StreamName,
    /// The user who owns the stream.
    pub owner: UserId,
    /// Version of the user key that wraps it.
    pub user_key_version: u32,
    /// Sealed box holding the content key.
    pub wrapped: Vec<u8>,
}

/// One version of an API key's secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRow {
    /// The user who owns the API key.
    pub owner: UserId,
    /// Id of the API key.
    pub key: KeyId,
    /// Incremented at each replacement, from 1.
    pub secret_version: u32,
    /// Version of the user key that wraps the data key.
    pub user_key_version: u32,
    /// Sealed box holding the data key.
    pub wrapped_data_key: Vec<u8>,
    /// Sealed box holding the secret.
    pub sealed: Vec<u8>,
}

/// A password's hash, sealed under the user key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    /// The user whose password it is.
    pub owner: UserId,
    /// How many times the password has been set, from 1.
    pub password_version: u32,
    /// Version of the user key that seals it.
    pub user_key_version: u32,
    /// Sealed box holding the PHC text.
    pub sealed: Vec<u8>,
}

/// A session: the family of one refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Id of the session.
    pub id: SessionId,
    /// The user who is signed in.
    pub owner: UserId,
    /// When the session began.
    pub created_at: Timestamp,
    /// When its refresh token was last used, or when the session began.
    pub last_seen_at: Timestamp,
    /// When the refresh token expires.
    pub expires_at: Timestamp,
    /// Generation of the newest refresh token, from 1.
    pub generation: u32,
    /// When the previous generation was superseded.
    pub rotated_at: Timestamp,
    /// Sealed box holding the user agent, if the client sent one.
    pub content: Option<Vec<u8>>,
    /// Binds id, owner, generation and expiry together; `None` in rows of earlier programs.
    pub mac: Option<[u8; 32]>,
}

/// What a timer triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimerKind {
    /// The expiry of a key.
    KeyExpiry,
    /// The latest end of a key test. If the test is still open then, its process has crashed.
    KeyTest,
    /// The expiry of an ended run's text.
    DeltaExpiry,
}

/// An action that is due at a time. At most one per (kind, owner, subject).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerRow {
    /// What the timer triggers.
    pub kind: TimerKind,
    /// The user who owns the subject.
    pub owner: UserId,
    /// The key. For [`TimerKind::KeyTest`] the test, so that tests of one key do not replace each
    /// other's timer; for [`TimerKind::DeltaExpiry`] the run.
    pub subject: Uuid,
    /// The command to close, for [`TimerKind::KeyTest`]; otherwise `None`.
    pub command: Option<CommandId>,
    /// When the action is due.
    pub due_at: Timestamp,
}

/// One change of a row, made in the transaction of the append it belongs to. `Put` inserts or
/// replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange {
    /// Puts a user key.
    PutUserKey(UserKeyRow),
    /// Puts a user's index key.
    PutIndexKey(IndexKeyRow),
    /// Puts a stream's content key.
    PutContentKey(ContentKeyRow),
    /// Puts a version of a secret.
    PutSecret(SecretRow),
    /// Shreds a version of a secret: row and data key.
    DeleteSecret {
        /// The user who owns the API key.
        owner: UserId,
        /// Id of the API key.
        key: KeyId,
        /// Version of the secret.
        secret_version: u32,
    },
    /// Puts a password hash.
    PutCredential(CredentialRow),
    /// Puts a session.
    PutSession(SessionRow),
    /// Ends one session.
    DeleteSession(SessionId),
    /// Puts a timer.
    PutTimer(TimerRow),
    /// Removes a timer.
    DeleteTimer {
        /// Kind of the timer.
        kind: TimerKind,
        /// The user who owns the subject.
        owner: UserId,
        /// Subject of the timer.
        subject: Uuid,
    },
    /// Puts a row of a view.
    PutView(ViewRow),
    /// Removes a row of a view.
    DeleteView {
        /// Name of the view.
        view: &'static str,
        /// The user who owns the row.
        owner: UserId,
        /// Id of the row.
        id: Uuid,
    },
    /// Sets the default key of a context, replacing the previous one. The primary key (owner, tag)
    /// allows only one.
    PutDefault {
        /// The user who owns the key.
        owner: UserId,
        /// Tag of the context.
        tag: ContextTag,
        /// Id of the key.
        key: KeyId,
    },
    /// Removes the default of a context.
    DeleteDefault {
        /// The user who owns the context.
        owner: UserId,
        /// Tag of the context.
        tag: ContextTag,
    },
    /// Puts the store's own keys under a master key. The row put last is the newest: new user keys
    /// are wrapped by its KEK and by no other.
    PutStoreKey(StoreKeyRow),
    /// Removes the copy under a KEK that a rotation no longer uses.
    DeleteStoreKey(KekId),
    /// Destroys every key of a user and every second copy of their content: user key, index key,
    /// content keys, secrets, credential, sessions, timers, view rows, defaults, rows of text.
    /// Events stay, sealed forever.
    EraseUser(UserId),
}

impl RowChange {
    /// For a row that a user key seals: the owner of that key, and its version.
    pub const fn sealed_under(&self) -> Option<(UserId, u32)> {
        match self {
            Self::PutIndexKey(row) => Some((row.owner, row.user_key_version)),
            Self::PutContentKey(row) => Some((row.owner, row.user_key_version)),
            Self::PutSecret(row) => Some((row.owner, row.user_key_version)),
            Self::PutCredential(row) => Some((row.owner, row.user_key_version)),
            Self::PutUserKey(_)
            | Self::DeleteSecret { .. }
            | Self::PutSession(_)
            | Self::DeleteSession(_)
            | Self::PutTimer(_)
            | Self::DeleteTimer { .. }
            | Self::PutView(_)
            | Self::DeleteView { .. }
            | Self::PutDefault { .. }
            | Self::DeleteDefault { .. }
            | Self::PutStoreKey(_)
            | Self::DeleteStoreKey(_)
            | Self::EraseUser(_) => None,
        }
    }

    /// The user whose key can still open, in an old copy of the row, what this change destroys. The
    /// user gets a new key at the next rotation. Replacing a password hash destroys the old one
    /// too.
    pub const fn shreds_of(&self) -> Option<UserId> {
        match self {
            Self::DeleteSecret { owner, .. } => Some(*owner),
            Self::PutCredential(row) if row.password_version > 1 => Some(row.owner),
            Self::PutCredential(_)
            | Self::PutUserKey(_)
            | Self::PutIndexKey(_)
            | Self::PutContentKey(_)
            | Self::PutSecret(_)
            | Self::PutSession(_)
            | Self::DeleteSession(_)
            | Self::PutTimer(_)
            | Self::DeleteTimer { .. }
            | Self::PutView(_)
            | Self::DeleteView { .. }
            | Self::PutDefault { .. }
            | Self::DeleteDefault { .. }
            | Self::PutStoreKey(_)
            | Self::DeleteStoreKey(_)
            | Self::EraseUser(_) => None,
        }
    }
}

/// The store's own keys, wrapped by one KEK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreKeyRow {
    /// Id of the KEK that wraps this copy.
    pub kek: KekId,
    /// Sealed box holding the store's index key.
    pub wrapped_index_key: Vec<u8>,
    /// Sealed box holding the canary text.
    pub canary: Vec<u8>,
}

/// The port for rows beside the log.
pub trait Rows: Send + Sync {
    /// The store's own keys, one row per KEK in use, newest first; empty for a new store.
    fn store_keys(&self) -> BoxFuture<'_, Result<Vec<StoreKeyRow>, StoreError>>;

    /// Inserts the first store key row. Returns `false` and writes nothing if another process was
    /// first.
    fn init_store_key(&self, row: StoreKeyRow) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Number of user keys that each KEK wraps.
    fn user_keys_by_kek(&self) -> BoxFuture<'_, Result<Vec<(KekId, u64)>, StoreError>>;

    /// A user's newest user key; `None` for an unknown or erased user.
    fn user_key(&self, owner: UserId) -> BoxFuture<'_, Result<Option<UserKeyRow>, StoreError>>;

    /// A user's index key.
    fn index_key(&self, owner: UserId) -> BoxFuture<'_, Result<Option<IndexKeyRow>, StoreError>>;

    /// A stream's content key.
    fn content_key(
        &self,
        stream: StreamName,
    ) -> BoxFuture<'_, Result<Option<ContentKeyRow>, StoreError>>;

    /// One version of a secret.
    fn secret(
        &self,
        owner: UserId,
        key: KeyId,
        secret_version: u32,
    ) -> BoxFuture<'_, Result<Option<SecretRow>, StoreError>>;

    /// Number of stored secrets.
    fn count_secrets(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// A user's password hash.
    fn credential(&self, owner: UserId)
    -> BoxFuture<'_, Result<Option<CredentialRow>, StoreError>>;

    /// A session; `None` once it has ended.
    fn session(&self, id: SessionId) -> BoxFuture<'_, Result<Option<SessionRow>, StoreError>>;

    /// A user's sessions, newest first.
    fn sessions(&self, owner: UserId) -> BoxFuture<'_, Result<Vec<SessionRow>, StoreError>>;

    /// Rotates a refresh token: if the session's generation is `from`, it becomes `from + 1`,
    /// `rotated_at` and `last_seen_at` become `now`, `expires_at` becomes `until` and `mac` the one
    /// given. Returns `false` if the session does not exist or has another generation. Durable when it returns.
    fn rotate_session(
        &self,
        id: SessionId,
        from: u32,
        now: Timestamp,
        until: Timestamp,
        mac: Option<[u8; 32]>,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Timers with `due_at <= now`, earliest first, at most `limit`.
    fn due_timers(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TimerRow>, StoreError>>;

    /// Puts a timer off until a time, or removes it, if it is still due when the caller read that
    /// it is; otherwise returns `false`. Durable when it returns.
    fn move_timer(
        &self,
        timer: TimerRow,
        until: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Call after something was shredded: makes its bytes unreadable on disk too, where the store
    /// can (SQLite truncates the write-ahead log). Returns `false` if a reader prevented it: then the
    /// store repeats it until it is done.
    fn scrub(&self) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Whether the last write was refused for lack of space or of rights, not long ago. A store that
    /// cannot tell says no.
    fn refuses_writes(&self) -> bool {
        false
    }
}

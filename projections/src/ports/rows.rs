//! Rows beside the log: sealed keys and secrets, credentials, sessions, timers. They change with the events of an append, or by one of
//! the few compare-and-set operations below, which leave no event.

use super::{BoxFuture, StoreError, ViewRow};
use claviger_domain::id::{CommandId, ContextTag, KeyId, SessionId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use uuid::Uuid;

/// A KEK's id: derived from the key, so that a mislabelled key can't load.
pub type KekId = [u8; 8];

/// A user key (UEK), wrapped by a KEK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserKeyRow {
    /// Whose.
    pub owner: UserId,
    /// Counts up at each rotation, from 1.
    pub version: u32,
    /// The KEK it is wrapped by.
    pub kek: KekId,
    /// Sealed box.
    pub wrapped: Vec<u8>,
}

/// A user's index key, wrapped by the user key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexKeyRow {
    /// Whose.
    pub owner: UserId,
    /// Version of the user key.
    pub user_key_version: u32,
    /// Sealed box.
    pub wrapped: Vec<u8>,
}

/// A stream's content key, wrapped by its owner's user key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentKeyRow {
    /// The stream.
    pub stream: StreamName,
    /// Whose.
    pub owner: UserId,
    /// Version of the user key.
    pub user_key_version: u32,
    /// Sealed box.
    pub wrapped: Vec<u8>,
}

/// One version of an API key's secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRow {
    /// Whose.
    pub owner: UserId,
    /// Of which key.
    pub key: KeyId,
    /// Counts up at each replacement, from 1.
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
    /// Whose.
    pub owner: UserId,
    /// How often the password was set, from 1.
    pub password_version: u32,
    /// Version of the user key.
    pub user_key_version: u32,
    /// Sealed box holding the PHC text.
    pub sealed: Vec<u8>,
}

/// A session: the family of one refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub owner: UserId,
    /// When it began.
    pub created_at: Timestamp,
    /// When its refresh token was last used, or it began.
    pub last_seen_at: Timestamp,
    /// When the refresh token expires.
    pub expires_at: Timestamp,
    /// Generation of the newest refresh token, from 1.
    pub generation: u32,
    /// When the generation before was superseded.
    pub rotated_at: Timestamp,
    /// Sealed box holding the user agent.
    pub content: Option<Vec<u8>>,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimerKind {
    /// A key's expiry.
    KeyExpiry,
    /// The latest end of a key test: whoever ran it has crashed if it is still open.
    KeyTest,
    /// The texts of a run that has ended expire.
    DeltaExpiry,
}

/// Something to be done at a time. At most one per (kind, owner, subject).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerRow {
    /// What for.
    pub kind: TimerKind,
    /// Whose.
    pub owner: UserId,
    /// The key; for [`TimerKind::KeyTest`] the test, so that tests of one key don't take each other's timer; for
    /// [`TimerKind::DeltaExpiry`] the run.
    pub subject: Uuid,
    /// The command to close, for [`TimerKind::KeyTest`].
    pub command: Option<CommandId>,
    /// When.
    pub due_at: Timestamp,
}

/// One change of a row, made in the transaction of the append it belongs to. `Put` inserts or replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange {
    /// A user key.
    PutUserKey(UserKeyRow),
    /// A user's index key.
    PutIndexKey(IndexKeyRow),
    /// A stream's content key.
    PutContentKey(ContentKeyRow),
    /// A version of a secret.
    PutSecret(SecretRow),
    /// Shreds a version of a secret: row and data key.
    DeleteSecret {
        /// Whose.
        owner: UserId,
        /// Of which key.
        key: KeyId,
        /// Which version.
        secret_version: u32,
    },
    /// A password hash.
    PutCredential(CredentialRow),
    /// A session.
    PutSession(SessionRow),
    /// Ends one session.
    DeleteSession(SessionId),
    /// A timer.
    PutTimer(TimerRow),
    /// Unsets a timer.
    DeleteTimer {
        /// What for.
        kind: TimerKind,
        /// Whose.
        owner: UserId,
        /// Which key or test.
        subject: Uuid,
    },
    /// A row of a view.
    PutView(ViewRow),
    /// Removes a row of a view.
    DeleteView {
        /// Which view.
        view: &'static str,
        /// Whose.
        owner: UserId,
        /// Which row.
        id: Uuid,
    },
    /// The default key of a context; replaces the one before. The primary key (owner, tag) lets no second one stand.
    PutDefault {
        /// Whose.
        owner: UserId,
        /// Of which context.
        tag: ContextTag,
        /// Which key.
        key: KeyId,
    },
    /// No default any more.
    DeleteDefault {
        /// Whose.
        owner: UserId,
        /// Of which context.
        tag: ContextTag,
    },
    /// The store's own keys under a master key. The row put last is the newest: new user keys go under its KEK, and under no other.
    PutStoreKey(StoreKeyRow),
    /// Removes the copy under a KEK that a rotation has left behind.
    DeleteStoreKey(KekId),
    /// Destroys every key of a user and every second copy of their content: user key, index key, content keys, secrets, credential,
    /// sessions, timers, view rows, defaults, rows of text. Events stay, sealed for ever.
    EraseUser(UserId),
}

impl RowChange {
    /// What it is sealed under, for a row that a user key seals: whose key, and which version of it.
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

    /// Whose user key can still open what this destroys, in a copy of the row that lies elsewhere: the user gets a new one at the next
    /// rotation. A password's hash that is replaced is such a thing too.
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

/// What the store knows of its own installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreKeyRow {
    /// The KEK this copy is wrapped by.
    pub kek: KekId,
    /// Sealed box holding the store's index key.
    pub wrapped_index_key: Vec<u8>,
    /// Sealed box holding the canary text.
    pub canary: Vec<u8>,
}

/// Rows beside the log.
pub trait Rows: Send + Sync {
    /// The store's own keys, one row per KEK in use, the newest first; empty for a new store.
    fn store_keys(&self) -> BoxFuture<'_, Result<Vec<StoreKeyRow>, StoreError>>;

    /// Inserts the first store key row; `false` if another process was first (nothing is written then).
    fn init_store_key(&self, row: StoreKeyRow) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// How many user keys each KEK wraps.
    fn user_keys_by_kek(&self) -> BoxFuture<'_, Result<Vec<(KekId, u64)>, StoreError>>;

    /// The newest user key of a user.
    fn user_key(&self, owner: UserId) -> BoxFuture<'_, Result<Option<UserKeyRow>, StoreError>>;

    /// A user's index key.
    fn index_key(&self, owner: UserId) -> BoxFuture<'_, Result<Option<IndexKeyRow>, StoreError>>;

    /// A stream's content key.
    fn content_key(
        &self,
        stream: StreamName,
    ) -> BoxFuture<'_, Result<Option<ContentKeyRow>, StoreError>>;

    /// A version of a secret.
    fn secret(
        &self,
        owner: UserId,
        key: KeyId,
        secret_version: u32,
    ) -> BoxFuture<'_, Result<Option<SecretRow>, StoreError>>;

    /// How many secrets are kept.
    fn count_secrets(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// A user's password hash.
    fn credential(&self, owner: UserId)
    -> BoxFuture<'_, Result<Option<CredentialRow>, StoreError>>;

    /// A session; `None` once it has ended.
    fn session(&self, id: SessionId) -> BoxFuture<'_, Result<Option<SessionRow>, StoreError>>;

    /// A user's sessions, newest first.
    fn sessions(&self, owner: UserId) -> BoxFuture<'_, Result<Vec<SessionRow>, StoreError>>;

    /// Rotates a refresh token: if the session's generation is `from`, it becomes `from + 1`, `rotated_at` and `last_seen_at` become
    /// `now`, `expires_at` becomes `until`. `false` if the session is gone or has another generation. Durable when it returns.
    fn rotate_session(
        &self,
        id: SessionId,
        from: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Timers with `due_at <= now`, earliest first, at most `limit`.
    fn due_timers(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TimerRow>, StoreError>>;

    /// After something was shredded: makes its bytes unreadable on disk too, where the store can (SQLite: truncates the write-ahead log).
    /// `false` if it could not be done now because a reader was in the way.
    fn scrub(&self) -> BoxFuture<'_, Result<bool, StoreError>>;
}

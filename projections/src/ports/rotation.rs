//! What a rotation of the master key needs of a store. The rows are the only state, so an
//! interrupted rotation is run again.
//!
//! Nothing here takes part in an append or leaves an event: a rotation changes how keys are
//! wrapped, not the data. Each change compares first, so two concurrent rotations, or a rotation
//! beside servers that write, never undo each other's work.

use super::{
    BoxFuture, ContentKeyRow, CredentialRow, IndexKeyRow, KekId, RowChange, SecretRow, StoreError,
    UserKeyRow,
};
use claviger_domain::id::UserId;

/// A user key, and whether it is worn out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserKeyState {
    /// The stored row.
    pub row: UserKeyRow,
    /// Whether something that the key can open was destroyed since the key was made
    /// ([`RowChange::shreds_of`]). Such a key is never wrapped by another KEK: an old copy of its
    /// row and the new KEK could together open what was destroyed.
    pub worn: bool,
}

/// All rows sealed under a user's key, read at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRows {
    /// The newest user key.
    pub key: UserKeyState,
    /// The user's index key.
    pub index_key: Option<IndexKeyRow>,
    /// Content keys, ordered by the text of their stream.
    pub content_keys: Vec<ContentKeyRow>,
    /// Secrets, ordered by key and version.
    pub secrets: Vec<SecretRow>,
    /// The sealed password hash.
    pub credential: Option<CredentialRow>,
}

impl UserRows {
    /// All rows except the user key, as changes that put them.
    pub fn sealed_rows(&self) -> Vec<RowChange> {
        let index_key = self.index_key.iter().cloned().map(RowChange::PutIndexKey);
        let content_keys = self.content_keys.iter().cloned().map(RowChange::PutContentKey);
        let secrets = self.secrets.iter().cloned().map(RowChange::PutSecret);
        let credential = self.credential.iter().cloned().map(RowChange::PutCredential);
        index_key.chain(content_keys).chain(secrets).chain(credential).collect()
    }
}

/// The port for a rotation of the master key.
pub trait Rotation: Send + Sync {
    /// User keys of owners above `after`, at most `limit`, ordered by owner; with `not_under`, only
    /// those wrapped by another KEK than this one.
    fn user_keys(
        &self,
        not_under: Option<KekId>,
        after: Option<UserId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<UserKeyState>, StoreError>>;

    /// All rows sealed under a user's key, read at one moment; `None` for an unknown or erased
    /// user.
    fn user_rows(&self, owner: UserId) -> BoxFuture<'_, Result<Option<UserRows>, StoreError>>;

    /// Rewraps a user key: if the row is still `from` and is not worn out, it becomes `to`, which
    /// has the same owner and version. Returns `false` if it has changed meanwhile, and `true` also
    /// for a repeat that finds `to`. Durable when it returns.
    fn rewrap_user_key(
        &self,
        from: UserKeyRow,
        to: UserKeyRow,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Gives a user a new key: if all rows sealed under the key are still exactly `from`, they
    /// become `to` in one transaction, and no older user key remains. `to` has the same index key,
    /// content keys, secrets and credential, wrapped by the next version of the user key, which is
    /// not worn out. Returns `false` if anything has changed meanwhile, and `true` also for a
    /// repeat that finds `to`. Durable when it returns.
    fn rekey_user(&self, from: UserRows, to: UserRows) -> BoxFuture<'_, Result<bool, StoreError>>;
}

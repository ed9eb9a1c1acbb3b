//! What a rotation of the master key asks of a store. State is only what the rows say, so one that was cut short is run again.
//!
//! Nothing here takes part in an append, and none of it leaves an event: it changes what wraps, not what is. Each change compares first,
//! so two rotations that run side by side, or a rotation beside servers that write, never undo each other's work.

use super::{
    BoxFuture, ContentKeyRow, CredentialRow, IndexKeyRow, KekId, RowChange, SecretRow, StoreError,
    UserKeyRow,
};
use claviger_domain::id::UserId;

/// A user key, and whether it is worn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserKeyState {
    /// The row.
    pub row: UserKeyRow,
    /// Something that it can open was destroyed since it was made ([`RowChange::shreds_of`]). Such a key is never wrapped by
    /// another KEK: whoever had the old row and the new KEK could open what was destroyed.
    pub worn: bool,
}

/// Everything that hangs on a user's key, as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRows {
    /// The newest user key.
    pub key: UserKeyState,
    /// The index key.
    pub index_key: Option<IndexKeyRow>,
    /// Content keys, by the text of their stream.
    pub content_keys: Vec<ContentKeyRow>,
    /// Secrets, by key and version.
    pub secrets: Vec<SecretRow>,
    /// The password's hash.
    pub credential: Option<CredentialRow>,
}

impl UserRows {
    /// All of it but the user key, as changes that put it.
    pub fn sealed_rows(&self) -> Vec<RowChange> {
        let index_key = self.index_key.iter().cloned().map(RowChange::PutIndexKey);
        let content_keys = self.content_keys.iter().cloned().map(RowChange::PutContentKey);
        let secrets = self.secrets.iter().cloned().map(RowChange::PutSecret);
        let credential = self.credential.iter().cloned().map(RowChange::PutCredential);
        index_key.chain(content_keys).chain(secrets).chain(credential).collect()
    }
}

/// What a rotation of the master key asks of a store.
pub trait Rotation: Send + Sync {
    /// User keys of owners above `after`, at most `limit`, by owner; with `not_under` only those that another KEK than this wraps.
    fn user_keys(
        &self,
        not_under: Option<KekId>,
        after: Option<UserId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<UserKeyState>, StoreError>>;

    /// Everything that hangs on a user's key, read at one moment; `None` for nobody, or once erased.
    fn user_rows(&self, owner: UserId) -> BoxFuture<'_, Result<Option<UserRows>, StoreError>>;

    /// Wraps a user key anew: if the row is still `from` and isn't worn, it becomes `to`, which has the same owner and version.
    /// `false` if it has changed meanwhile; `true` also for a repeat that finds `to`. Durable when it returns.
    fn rewrap_user_key(
        &self,
        from: UserKeyRow,
        to: UserKeyRow,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Gives a user a new key: if everything that hangs on their key is still exactly `from`, it becomes `to` in one transaction, and no
    /// older user key is left. `to` has the same index key, content keys, secrets and credential, wrapped by the next version, which
    /// isn't worn.
    /// `false` if anything has changed meanwhile; `true` also for a repeat that finds `to`. Durable when it returns.
    fn rekey_user(&self, from: UserRows, to: UserRows) -> BoxFuture<'_, Result<bool, StoreError>>;
}

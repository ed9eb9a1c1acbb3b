//! Key rotation: opens what a key sealed and seals it again under the successor. The layers below
//! stay unchanged, because only the wrap itself names the key above. Each function depends only on
//! the old row, so a rotation that was cut short can be run again. The caller's compare-and-set
//! keeps a row from being moved twice.

use crate::entropy::Entropy;
use crate::error::Result;
use crate::keys::{KekSet, UserKey};
use crate::secret::{CredentialAd, open_credential, seal_credential};
use crate::wrap::{
    DataKeyAd, unwrap_content_key, unwrap_data_key, unwrap_index_key, unwrap_user_key,
    wrap_content_key, wrap_data_key, wrap_index_key, wrap_user_key,
};
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::stream::StreamName;

/// A change from one version of a user's key to another.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "a key that can be printed will be printed")]
pub struct UserKeyChange<'a> {
    /// The user whose key changes.
    pub owner: UserId,
    /// The key that opens the old wraps.
    pub from: &'a UserKey,
    /// Version of the old key.
    pub from_version: u32,
    /// The key that makes the new wraps.
    pub to: &'a UserKey,
    /// Version of the new key.
    pub to_version: u32,
}

/// Moves a user key from the KEK named by its row to the current one. Its version stays the same.
///
/// # Errors
/// Those of [`unwrap_user_key`].
pub fn rewrap_user_key(
    keks: &KekSet,
    from: [u8; 8],
    owner: UserId,
    version: u32,
    wrapped: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    let user_key = unwrap_user_key(keks, from, owner, version, wrapped)?;
    wrap_user_key(keks.current(), &user_key, owner, version, entropy)
}

/// Moves a user's index key to their new user key.
///
/// # Errors
/// Those of [`unwrap_index_key`].
pub fn rewrap_index_key(
    change: &UserKeyChange<'_>,
    wrapped: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    let index_key = unwrap_index_key(change.from, change.owner, change.from_version, wrapped)?;
    wrap_index_key(change.to, &index_key, change.owner, change.to_version, entropy)
}

/// Moves a stream's content key to its owner's new user key.
///
/// # Errors
/// Those of [`unwrap_content_key`].
pub fn rewrap_content_key(
    change: &UserKeyChange<'_>,
    stream: StreamName,
    wrapped: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    let content_key =
        unwrap_content_key(change.from, change.owner, stream, change.from_version, wrapped)?;
    wrap_content_key(change.to, &content_key, change.owner, stream, change.to_version, entropy)
}

/// Moves the data key of one version of a secret to its owner's new user key. The box of the secret
/// itself stays the same.
///
/// # Errors
/// Those of [`unwrap_data_key`].
pub fn rewrap_data_key(
    change: &UserKeyChange<'_>,
    key: KeyId,
    secret_version: u32,
    wrapped: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    let old = DataKeyAd {
        owner: change.owner,
        key,
        secret_version,
        user_key_version: change.from_version,
    };
    let new = DataKeyAd { user_key_version: change.to_version, ..old };
    wrap_data_key(change.to, &unwrap_data_key(change.from, &old, wrapped)?, &new, entropy)
}

/// Moves a password's hash to its owner's new user key.
///
/// # Errors
/// Those of [`open_credential`].
pub fn rewrap_credential(
    change: &UserKeyChange<'_>,
    password_version: u32,
    sealed: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    let ad =
        |user_key_version| CredentialAd { owner: change.owner, password_version, user_key_version };
    let phc = open_credential(change.from, &ad(change.from_version), sealed)?;
    seal_credential(change.to, &phc, &ad(change.to_version), entropy)
}

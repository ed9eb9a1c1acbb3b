//! Keys sealed under other keys. Each wrap names the version or the id of the key above it in its
//! associated data.

use crate::entropy::Entropy;
use crate::error::{Result, VaultError};
use crate::keys::{ContentKey, DataKey, IndexKey, KEY_LEN, Kek, KekSet, StoreIndexKey, UserKey};
use crate::sealed_box::{Ad, OVERHEAD, open, seal};
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::stream::StreamName;
use zeroize::Zeroizing;

const CANARY: &[u8] = b"claviger";

/// The place that a wrapped data key is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataKeyAd {
    /// The user who owns the API key.
    pub owner: UserId,
    /// The API key whose secret the data key seals.
    pub key: KeyId,
    /// Version of the secret, from 1. The current version comes from the log, so an older row that
    /// is put back does not open.
    pub secret_version: u32,
    /// Version of the user key that wraps it, from 1.
    pub user_key_version: u32,
}

fn user_key_ad(kek_id: [u8; 8], owner: UserId, version: u32) -> Ad {
    Ad::new("claviger/user-key/1").id(owner.0).int(version).bytes(&kek_id)
}

fn index_key_ad(owner: UserId, user_key_version: u32) -> Ad {
    Ad::new("claviger/user-index-key/1").id(owner.0).int(user_key_version)
}

fn content_key_ad(owner: UserId, stream: StreamName, user_key_version: u32) -> Ad {
    Ad::new("claviger/content-key/1").id(owner.0).text(&stream.to_string()).int(user_key_version)
}

fn data_key_ad(ad: &DataKeyAd) -> Ad {
    Ad::new("claviger/data-key/1")
        .id(ad.owner.0)
        .id(ad.key.0)
        .int(ad.secret_version)
        .int(ad.user_key_version)
}

fn store_index_key_ad(kek_id: [u8; 8]) -> Ad {
    Ad::new("claviger/store-index-key/1").bytes(&kek_id)
}

fn signing_store_key_ad(kek_id: [u8; 8]) -> Ad {
    Ad::new("claviger/store-index-key/2").bytes(&kek_id)
}

fn canary_ad(kek_id: [u8; 8]) -> Ad {
    Ad::new("claviger/canary/1").bytes(&kek_id)
}

/// Wraps version `version` of a user's key. The row keeps [`Kek::id`] beside it.
///
/// # Errors
/// [`VaultError::TooLong`]; no key is that long.
pub fn wrap_user_key(
    kek: &Kek,
    user_key: &UserKey,
    owner: UserId,
    version: u32,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    seal(kek.expose(), &user_key_ad(kek.id(), owner, version), user_key.as_bytes(), entropy)
}

/// Opens a wrap made by [`wrap_user_key`] under the KEK that the row names.
///
/// # Errors
/// [`VaultError::UnknownKek`] when that KEK is not loaded; otherwise those of every box:
/// [`VaultError::WrongKey`], [`VaultError::Tampered`], [`VaultError::Malformed`].
pub fn unwrap_user_key(
    keks: &KekSet,
    kek_id: [u8; 8],
    owner: UserId,
    version: u32,
    wrapped: &[u8],
) -> Result<UserKey> {
    let kek = keks.get(kek_id)?;
    UserKey::from_text(&open(kek.expose(), &user_key_ad(kek_id, owner, version), wrapped)?)
}

/// Wraps a user's index key under version `user_key_version` of that user's key.
///
/// # Errors
/// [`VaultError::TooLong`]; no key is that long.
pub fn wrap_index_key(
    user_key: &UserKey,
    index_key: &IndexKey,
    owner: UserId,
    user_key_version: u32,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    seal(user_key.as_bytes(), &index_key_ad(owner, user_key_version), index_key.as_bytes(), entropy)
}

/// Opens a wrap made by [`wrap_index_key`].
///
/// # Errors
/// [`VaultError::WrongKey`], [`VaultError::Tampered`], [`VaultError::Malformed`].
pub fn unwrap_index_key(
    user_key: &UserKey,
    owner: UserId,
    user_key_version: u32,
    wrapped: &[u8],
) -> Result<IndexKey> {
    IndexKey::from_text(&open(
        user_key.as_bytes(),
        &index_key_ad(owner, user_key_version),
        wrapped,
    )?)
}

/// Wraps a stream's content key under version `user_key_version` of its owner's key.
///
/// # Errors
/// [`VaultError::TooLong`]; no key is that long.
pub fn wrap_content_key(
    user_key: &UserKey,
    content_key: &ContentKey,
    owner: UserId,
    stream: StreamName,
    user_key_version: u32,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    seal(
        user_key.as_bytes(),
        &content_key_ad(owner, stream, user_key_version),
        content_key.as_bytes(),
        entropy,
    )
}

/// Opens a wrap made by [`wrap_content_key`].
///
/// # Errors
/// [`VaultError::WrongKey`], [`VaultError::Tampered`], [`VaultError::Malformed`].
pub fn unwrap_content_key(
    user_key: &UserKey,
    owner: UserId,
    stream: StreamName,
    user_key_version: u32,
    wrapped: &[u8],
) -> Result<ContentKey> {
    ContentKey::from_text(&open(
        user_key.as_bytes(),
        &content_key_ad(owner, stream, user_key_version),
        wrapped,
    )?)
}

/// Wraps the data key of one version of a secret under its owner's key.
///
/// # Errors
/// [`VaultError::TooLong`]; no key is that long.
pub fn wrap_data_key(
    user_key: &UserKey,
    data_key: &DataKey,
    ad: &DataKeyAd,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    seal(user_key.as_bytes(), &data_key_ad(ad), data_key.as_bytes(), entropy)
}

/// Opens a wrap made by [`wrap_data_key`].
///
/// # Errors
/// [`VaultError::WrongKey`], [`VaultError::Tampered`], [`VaultError::Malformed`].
pub fn unwrap_data_key(user_key: &UserKey, ad: &DataKeyAd, wrapped: &[u8]) -> Result<DataKey> {
    DataKey::from_text(&open(user_key.as_bytes(), &data_key_ad(ad), wrapped)?)
}

/// Wraps the installation's index key. The store holds one row per KEK in use.
///
/// # Errors
/// [`VaultError::TooLong`]; no key is that long.
pub fn wrap_store_index_key(
    kek: &Kek,
    index_key: &StoreIndexKey,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    seal(kek.expose(), &store_index_key_ad(kek.id()), index_key.as_bytes(), entropy)
}

/// Opens a wrap made by [`wrap_store_index_key`] under the KEK that the row names.
///
/// # Errors
/// [`VaultError::UnknownKek`] when that KEK is not loaded; otherwise [`VaultError::WrongKey`],
/// [`VaultError::Tampered`], [`VaultError::Malformed`].
pub fn unwrap_store_index_key(
    keks: &KekSet,
    kek_id: [u8; 8],
    wrapped: &[u8],
) -> Result<StoreIndexKey> {
    let kek = keks.get(kek_id)?;
    StoreIndexKey::from_text(&open(kek.expose(), &store_index_key_ad(kek_id), wrapped)?)
}

/// The installation's own key, and since when it signs events.
#[expect(missing_debug_implementations, reason = "a key")]
pub struct StoreKey {
    /// The index key.
    pub index: StoreIndexKey,
    /// Every event after this position is signed; `None` in a store that an earlier program made
    /// and that does not require signatures yet.
    pub signed_since: Option<u64>,
}

impl StoreKey {
    /// Wraps it: with the position, in the second format, which no writer of the store can turn
    /// back into the first, so that signatures stay required.
    ///
    /// # Errors
    /// [`VaultError::TooLong`]; no key is that long.
    pub fn wrap(&self, kek: &Kek, entropy: &dyn Entropy) -> Result<Vec<u8>> {
        let Some(since) = self.signed_since else {
            return wrap_store_index_key(kek, &self.index, entropy);
        };
        let mut text = Zeroizing::new([0; KEY_LEN + 8]);
        let all = self.index.as_bytes().iter().copied().chain(since.to_be_bytes());
        for (byte, from) in text.iter_mut().zip(all) {
            *byte = from;
        }
        seal(kek.expose(), &signing_store_key_ad(kek.id()), text.as_slice(), entropy)
    }

    /// Opens a wrap of either format; they differ in length.
    ///
    /// # Errors
    /// [`VaultError::UnknownKek`] when that KEK is not loaded; otherwise [`VaultError::WrongKey`],
    /// [`VaultError::Tampered`], [`VaultError::Malformed`].
    pub fn unwrap(keks: &KekSet, kek_id: [u8; 8], wrapped: &[u8]) -> Result<Self> {
        if wrapped.len() <= OVERHEAD + KEY_LEN {
            let index = unwrap_store_index_key(keks, kek_id, wrapped)?;
            return Ok(Self { index, signed_since: None });
        }
        let kek = keks.get(kek_id)?;
        let text = open(kek.expose(), &signing_store_key_ad(kek_id), wrapped)?;
        let malformed = || VaultError::Malformed("a signing store key must have 40 bytes");
        let (key, since) = text.split_at_checked(KEY_LEN).ok_or_else(malformed)?;
        let since = since.try_into().map_err(|_| malformed())?;
        let index = StoreIndexKey::from_text(key)?;
        Ok(Self { index, signed_since: Some(u64::from_be_bytes(since)) })
    }
}

/// Seals a known text. Opening it at boot shows that a KEK fits the store before anything is
/// written under it.
///
/// # Errors
/// [`VaultError::TooLong`]; the canary is not that long.
pub fn seal_canary(kek: &Kek, entropy: &dyn Entropy) -> Result<Vec<u8>> {
    seal(kek.expose(), &canary_ad(kek.id()), CANARY, entropy)
}

/// Opens a box made by [`seal_canary`].
///
/// # Errors
/// [`VaultError::WrongKey`], [`VaultError::Tampered`], [`VaultError::Malformed`]: the process must
/// not continue with this KEK.
pub fn open_canary(kek: &Kek, sealed: &[u8]) -> Result<()> {
    let text = open(kek.expose(), &canary_ad(kek.id()), sealed)?;
    if text.as_slice() == CANARY {
        Ok(())
    } else {
        Err(VaultError::Malformed("the canary holds an unexpected text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::tests::Zeros;
    use uuid::Uuid;

    #[test]
    fn an_opened_key_of_another_length_is_malformed() {
        let owner = UserId(Uuid::nil());
        let user_key = UserKey::generate(&Zeros);
        for len in [0, 31, 33] {
            let wrapped =
                seal(user_key.as_bytes(), &index_key_ad(owner, 1), &vec![1; len], &Zeros).unwrap();
            let found = unwrap_index_key(&user_key, owner, 1, &wrapped).err();
            assert_eq!(
                found,
                Some(VaultError::Malformed("a key must have 32 bytes")),
                "{len} bytes"
            );
        }
    }

    #[test]
    fn a_canary_with_another_text_is_malformed() {
        let kek = Kek::generate(&Zeros);
        let sealed = seal(kek.expose(), &canary_ad(kek.id()), b"parakeet", &Zeros).unwrap();
        assert_eq!(
            open_canary(&kek, &sealed),
            Err(VaultError::Malformed("the canary holds an unexpected text"))
        );
    }
}

//! API keys and password hashes.

use crate::entropy::Entropy;
use crate::error::{Result, VaultError};
use crate::keys::{DataKey, UserKey};
use crate::sealed_box::{Ad, open, seal};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::secret::SecretText;
use zeroize::{Zeroize, Zeroizing};

fn secret_ad(owner: UserId, key: KeyId, secret_version: u32) -> Ad {
    Ad::new("claviger/secret/1").id(owner.0).id(key.0).int(secret_version)
}

/// The place that a password hash is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialAd {
    /// The user whose password it is.
    pub owner: UserId,
    /// How many times the password has been set, from 1. The current number comes from the log, so
    /// an older row that is put back does not open.
    pub password_version: u32,
    /// Version of the user key that seals the hash.
    pub user_key_version: u32,
}

fn credential_ad(ad: &CredentialAd) -> Ad {
    Ad::new("claviger/credential/1")
        .id(ad.owner.0)
        .text("password")
        .int(ad.password_version)
        .int(ad.user_key_version)
}

/// Turns an opened text into a secret without copying it.
fn into_secret(mut text: Zeroizing<Vec<u8>>) -> Result<SecretText> {
    match String::from_utf8(std::mem::take(&mut *text)) {
        Ok(text) => Ok(SecretText::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(VaultError::Malformed("a sealed text must be UTF-8"))
        }
    }
}

/// Seals version `secret_version` of an API key's secret.
///
/// # Errors
/// [`VaultError::TooLong`]; no API key is that long.
pub fn seal_secret(
    data_key: &DataKey,
    secret: &ApiKeySecret,
    owner: UserId,
    key: KeyId,
    secret_version: u32,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    seal(
        data_key.as_bytes(),
        &secret_ad(owner, key, secret_version),
        secret.expose().as_bytes(),
        entropy,
    )
}

/// Opens a box made by [`seal_secret`]. Call it once per use, and only after committing the event
/// that records who uses the secret for what. The text is wiped when dropped, and nothing keeps it.
///
/// # Errors
/// [`VaultError::WrongKey`]; [`VaultError::Tampered`], also for an older version that was put back;
/// [`VaultError::Malformed`].
pub fn open_secret(
    data_key: &DataKey,
    owner: UserId,
    key: KeyId,
    secret_version: u32,
    sealed: &[u8],
) -> Result<SecretText> {
    into_secret(open(data_key.as_bytes(), &secret_ad(owner, key, secret_version), sealed)?)
}

/// Seals a password hash, a PHC text, under version `user_key_version` of its owner's key. Erasing
/// the user destroys it too.
///
/// # Errors
/// [`VaultError::TooLong`]; no PHC text is that long.
pub fn seal_credential(
    user_key: &UserKey,
    phc: &SecretText,
    ad: &CredentialAd,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    seal(user_key.as_bytes(), &credential_ad(ad), phc.expose().as_bytes(), entropy)
}

/// Opens a box made by [`seal_credential`].
///
/// # Errors
/// [`VaultError::WrongKey`], [`VaultError::Tampered`], [`VaultError::Malformed`].
pub fn open_credential(user_key: &UserKey, ad: &CredentialAd, sealed: &[u8]) -> Result<SecretText> {
    into_secret(open(user_key.as_bytes(), &credential_ad(ad), sealed)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::tests::Zeros;
    use uuid::Uuid;

    #[test]
    fn opened_bytes_that_are_not_utf8_are_malformed() {
        let ad =
            CredentialAd { owner: UserId(Uuid::nil()), password_version: 1, user_key_version: 1 };
        let user_key = UserKey::generate(&Zeros);
        let sealed = seal(user_key.as_bytes(), &credential_ad(&ad), &[0xff; 4], &Zeros).unwrap();
        let found = open_credential(&user_key, &ad, &sealed).err();
        assert_eq!(found, Some(VaultError::Malformed("a sealed text must be UTF-8")));
    }
}

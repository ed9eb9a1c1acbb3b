//! The effect of a rotation on a user's rows, as functions of the rows and the master keys.

use claviger_projections::ports::{
    ContentKeyRow, CredentialRow, IndexKeyRow, SecretRow, UserKeyRow, UserKeyState, UserRows,
};
use claviger_vault::{
    CredentialAd, DataKeyAd, Entropy, KekSet, UserKey, UserKeyChange, VaultError, open_credential,
    rewrap_content_key, rewrap_credential, rewrap_data_key, rewrap_index_key, rewrap_user_key,
    unwrap_content_key, unwrap_data_key, unwrap_index_key, unwrap_user_key, wrap_user_key,
};

type Result<T> = std::result::Result<T, VaultError>;

/// The same user key, wrapped by the first master key.
pub(super) fn rewrapped(
    keks: &KekSet,
    row: &UserKeyRow,
    entropy: &dyn Entropy,
) -> Result<UserKeyRow> {
    let wrapped = rewrap_user_key(keks, row.kek, row.owner, row.version, &row.wrapped, entropy)?;
    Ok(UserKeyRow { kek: keks.current().id(), wrapped, ..*row })
}

/// A new user key wrapped by the first master key, and everything the old one wrapped, wrapped by
/// the new one.
pub(super) fn rekeyed(keks: &KekSet, from: &UserRows, entropy: &dyn Entropy) -> Result<UserRows> {
    let UserKeyRow { owner, version, kek, wrapped } = &from.key.row;
    let (owner, old) = (*owner, unwrap_user_key(keks, *kek, *owner, *version, wrapped)?);
    let (new, to_version) = (UserKey::generate(entropy), version.saturating_add(1));
    let change = UserKeyChange { owner, from: &old, from_version: *version, to: &new, to_version };
    let index_key = from.index_key.as_ref().map(|row| -> Result<_> {
        Ok(IndexKeyRow {
            owner,
            user_key_version: to_version,
            wrapped: rewrap_index_key(&change, &row.wrapped, entropy)?,
        })
    });
    let content_keys = from.content_keys.iter().map(|row| {
        let wrapped = rewrap_content_key(&change, row.stream, &row.wrapped, entropy)?;
        Ok(ContentKeyRow { user_key_version: to_version, wrapped, ..*row })
    });
    let secrets = from.secrets.iter().map(|row| {
        let wrapped_data_key =
            rewrap_data_key(&change, row.key, row.secret_version, &row.wrapped_data_key, entropy)?;
        Ok(SecretRow {
            user_key_version: to_version,
            wrapped_data_key,
            sealed: row.sealed.clone(),
            ..*row
        })
    });
    let credential = from.credential.as_ref().map(|row| -> Result<_> {
        let sealed = rewrap_credential(&change, row.password_version, &row.sealed, entropy)?;
        Ok(CredentialRow { user_key_version: to_version, sealed, ..*row })
    });
    let to = keks.current();
    let row = UserKeyRow {
        owner,
        version: to_version,
        kek: to.id(),
        wrapped: wrap_user_key(to, &new, owner, to_version, entropy)?,
    };
    Ok(UserRows {
        key: UserKeyState { row, worn: false },
        index_key: index_key.transpose()?,
        content_keys: content_keys.collect::<Result<_>>()?,
        secrets: secrets.collect::<Result<_>>()?,
        credential: credential.transpose()?,
    })
}

/// Opens everything that a user key wraps, and drops it. Returns the number of data keys.
pub(super) fn open_all(keks: &KekSet, rows: &UserRows) -> Result<u64> {
    let UserKeyRow { owner, version, kek, wrapped } = &rows.key.row;
    let (owner, user_key_version) = (*owner, *version);
    let user = unwrap_user_key(keks, *kek, owner, user_key_version, wrapped)?;
    if let Some(row) = &rows.index_key {
        unwrap_index_key(&user, owner, row.user_key_version, &row.wrapped)?;
    }
    for row in &rows.content_keys {
        unwrap_content_key(&user, owner, row.stream, row.user_key_version, &row.wrapped)?;
    }
    for row in &rows.secrets {
        let ad = DataKeyAd {
            owner,
            key: row.key,
            secret_version: row.secret_version,
            user_key_version: row.user_key_version,
        };
        unwrap_data_key(&user, &ad, &row.wrapped_data_key)?;
    }
    if let Some(row) = &rows.credential {
        let ad = CredentialAd {
            owner,
            password_version: row.password_version,
            user_key_version: row.user_key_version,
        };
        open_credential(&user, &ad, &row.sealed)?;
    }
    Ok(rows.secrets.len() as u64)
}

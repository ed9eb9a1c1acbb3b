//! Codec of a view's row: facts as JSON, the content as JSON sealed under its stream's content key.

use crate::system::environment::Environment;
use crate::system::failure::vault_failure;
use claviger_domain::failure::Failure;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{StoreError, ViewRow};
use claviger_vault::{ContentKey, VaultError, ViewAd, open_view, seal_view};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Encodes a view's row.
pub(super) fn row<F: Serialize, C: Serialize>(
    ad: &ViewAd<'static>,
    sort: Timestamp,
    (facts, content): (&F, Option<&C>),
    key: Option<&ContentKey>,
    env: &Environment,
) -> Result<ViewRow, StoreError> {
    let unwritable = |_| StoreError::Corrupt(format!("cannot encode a row of view {}", ad.view));
    let facts = serde_json::to_vec(facts).map_err(unwritable)?;
    let content = content
        .map(|content| -> Result<Vec<u8>, StoreError> {
            let json = serde_json::to_vec(content).map_err(unwritable)?;
            let key = key.ok_or_else(|| {
                StoreError::Corrupt("there is no key for the content of a row".to_owned())
            })?;
            seal_view(key, ad, &json, &*env.entropy).map_err(|error| unsealable(&error))
        })
        .transpose()?;
    Ok(ViewRow {
        view: ad.view,
        owner: ad.owner,
        id: ad.row,
        sort: sort.0,
        stream: ad.stream,
        facts,
        content,
    })
}

pub(super) fn unsealable(error: &VaultError) -> StoreError {
    StoreError::Corrupt(format!("cannot seal the content of a row: {error}"))
}

/// Opens a view's row.
pub(super) fn open_row<F: DeserializeOwned, C: DeserializeOwned>(
    row: &ViewRow,
    key: Option<&ContentKey>,
) -> Result<(F, Option<C>), Failure> {
    let unreadable = |_| {
        tracing::error!(view = row.view, row = %row.id, "cannot read a view's row: run `claviger verify`");
        Failure::internal()
    };
    let facts = serde_json::from_slice(&row.facts).map_err(unreadable)?;
    let content = match (&row.content, key) {
        (Some(sealed), Some(key)) => {
            let ad = ViewAd { owner: row.owner, stream: row.stream, view: row.view, row: row.id };
            let json = open_view(key, &ad, sealed).map_err(|error| vault_failure(&error))?;
            Some(serde_json::from_slice(&json).map_err(unreadable)?)
        }
        _ => None,
    };
    Ok((facts, content))
}

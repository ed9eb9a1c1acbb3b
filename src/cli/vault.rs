//! `vault`: shows which keys protect the store.

use super::CliError;
use super::output::Text;
use crate::app::wiring::{Core, Frozen};
use crate::keychain::hex;
use crate::socket::Answer;
use crate::system::failure::store_failure;
use claviger_projections::ports::StoreError;

pub(super) async fn status(core: &Core, json: bool) -> Result<Answer, CliError> {
    // This opens every canary: all keys are proven from here on.
    let frozen = core.frozen().await?;
    let status = of(&frozen).await.map_err(|error| CliError::from(store_failure(&error)))?;
    let mut text = Text::default();
    if json {
        text.json(&status);
        return Ok(Answer { out: text.into_string(), exit: 0 });
    }
    let rows: Vec<_> = status
        .master_keys
        .iter()
        .map(|key| vec![key.id.clone(), key.state.to_owned(), key.user_keys.to_string()])
        .collect();
    text.table(&["MASTER KEY", "STATE", "USER KEYS UNDER IT"], &rows);
    text.line(&format!("secrets sealed: {}; every canary opens", status.secrets));
    if status.rotating {
        text.line(
            "a rotation is unfinished: `claviger vault rotate` continues it; until it ends keep \
             all master keys",
        );
    }
    Ok(Answer { out: text.into_string(), exit: 0 })
}

#[derive(serde::Serialize)]
struct Status {
    master_keys: Vec<MasterKey>,
    secrets: u64,
    rotating: bool,
}

#[derive(serde::Serialize)]
struct MasterKey {
    id: String,
    current: bool,
    state: &'static str,
    user_keys: u64,
}

async fn of(frozen: &Frozen) -> Result<Status, StoreError> {
    let Frozen { store, keychain } = frozen;
    let (rows, used) = (store.store_keys().await?, store.user_keys_by_kek().await?);
    let (newest, rotating) = (rows.first().map(|row| row.kek), rows.len() > 1);
    let master_keys = keychain.master_keys().ids().into_iter().map(|id| {
        let current = newest == Some(id);
        let state = match (current, rows.iter().any(|row| row.kek == id)) {
            (true, _) => "current",
            (false, true) => "older",
            (false, false) => "not in use",
        };
        let user_keys = used.iter().find(|(kek, _)| *kek == id).map_or(0, |(_, count)| *count);
        MasterKey { id: hex(id), current, state, user_keys }
    });
    Ok(Status {
        master_keys: master_keys.collect(),
        secrets: store.count_secrets().await?,
        rotating,
    })
}

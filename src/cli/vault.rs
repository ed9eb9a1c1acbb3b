//! `vault`: shows which keys protect the store.

use super::args::VaultCommand;
use super::{CliError, output, rotate};
use crate::app::config::Config;
use crate::app::wiring::Core;
use crate::keychain::hex;
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use claviger_projections::ports::StoreError;
use std::process::ExitCode;

pub(super) async fn run(
    command: &VaultCommand,
    config: &Config,
    json: bool,
) -> Result<ExitCode, CliError> {
    if let VaultCommand::Rotate(rotate) = command {
        return rotate::run(rotate, config, json).await;
    }
    // Opening the core opens every canary: all keys are proven from here on.
    let core = Core::open(config, Environment::system(), "claviger vault status").await?;
    let status = status(&core).await;
    core.close().await;
    let status = status.map_err(|error| CliError::from(store_failure(&error)))?;
    if json {
        output::json(&status);
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = status
        .master_keys
        .iter()
        .map(|key| vec![key.id.clone(), key.state.to_owned(), key.user_keys.to_string()])
        .collect();
    output::table(&["MASTER KEY", "STATE", "USER KEYS UNDER IT"], &rows);
    output::line(&format!("secrets sealed: {}; every canary opens", status.secrets));
    if status.rotating {
        output::line(
            "a rotation is unfinished: `claviger vault rotate` continues it; until it ends keep \
             all master keys",
        );
    }
    Ok(ExitCode::SUCCESS)
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

async fn status(core: &Core) -> Result<Status, StoreError> {
    let (rows, used) = (core.store.store_keys().await?, core.store.user_keys_by_kek().await?);
    let (newest, rotating) = (rows.first().map(|row| row.kek), rows.len() > 1);
    let master_keys = core.keychain.master_keys().ids().into_iter().map(|id| {
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
        secrets: core.store.count_secrets().await?,
        rotating,
    })
}

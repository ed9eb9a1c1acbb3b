//! `vault`: what protects what.

use super::args::VaultCommand;
use super::{CliError, output};
use crate::bus::store_failure;
use crate::config::Config;
use crate::effects::Effects;
use crate::wiring::Core;
use claviger_projections::ports::StoreError;
use std::process::ExitCode;

pub(super) async fn run(command: &VaultCommand, config: &Config, json: bool) -> Result<ExitCode, CliError> {
    let VaultCommand::Status = command;
    // Opening the core opens every canary: what comes after this line is known to work.
    let core = Core::open(config, Effects::system(), "claviger vault status").await?;
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
        .map(|key| {
            let current = if key.current { "current" } else { "older" };
            vec![key.id.clone(), current.to_owned(), key.user_keys.to_string()]
        })
        .collect();
    output::table(&["MASTER KEY", "STATE", "USER KEYS UNDER IT"], &rows);
    output::line(&format!("secrets sealed: {}; every canary opens", status.secrets));
    Ok(ExitCode::SUCCESS)
}

#[derive(serde::Serialize)]
struct Status {
    master_keys: Vec<MasterKey>,
    secrets: u64,
}

#[derive(serde::Serialize)]
struct MasterKey {
    id: String,
    current: bool,
    user_keys: u64,
}

async fn status(core: &Core) -> Result<Status, StoreError> {
    let used = core.store.user_keys_by_kek().await?;
    let count = |id: &str| {
        let found = used.iter().find(|(kek, _)| format!("{:016x}", u64::from_be_bytes(*kek)) == id);
        found.map_or(0, |(_, count)| *count)
    };
    let ids = core.keychain.kek_ids();
    let master_keys = ids.iter().enumerate().map(|(n, id)| MasterKey { id: id.clone(), current: n == 0, user_keys: count(id) });
    Ok(Status { master_keys: master_keys.collect(), secrets: core.store.count_secrets().await? })
}

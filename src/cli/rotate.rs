//! `vault rotate`: moves everything under a new master key.

use super::args::RotateArgs;
use super::serve::on_signals;
use super::{CliError, output};
use crate::app::config::Config;
use crate::app::key_files;
use crate::app::wiring::Core;
use crate::keychain::{Progress, Rotated, Rotation, hex};
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use claviger_domain::code::ErrorCode;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(super) async fn run(
    args: &RotateArgs,
    config: &Config,
    json: bool,
) -> Result<ExitCode, CliError> {
    let own = key_files::own_file(config);
    if args.drop_old && own.is_none() {
        let message = "--drop-old is for master.key in the data directory, but the configuration gives the \
                       master keys: remove the old ones from your list when the rotation has ended";
        return Err(CliError::new(ErrorCode::Validation, message));
    }
    let stop = on_signals()?;
    // Opening the core proves that every master key in use is available and, on the embedded store,
    // that no server is running.
    let core = Core::open(config, Environment::system(), "claviger vault rotate").await?;
    let rotated = rotate(&core, config, own.as_deref(), &stop).await;
    core.close().await;
    let rotated = rotated?;
    if let (Some(path), true) = (&own, args.drop_old) {
        key_files::keep_first(path)?;
    }
    tell(&rotated, own.as_deref(), args.drop_old, json);
    Ok(ExitCode::SUCCESS)
}

async fn rotate(
    core: &Core,
    config: &Config,
    own: Option<&Path>,
    stop: &CancellationToken,
) -> Result<Rotated, CliError> {
    let mut rotation = rotation(core, config)?;
    if let Some(path) = own
        && rotation.is_done().await.map_err(|error| store_failure(&error))?
    {
        // On disk before anything is wrapped by it. If a crash leaves it unused, the next run uses
        // it.
        key_files::add_first(path, &*core.env.entropy)?;
        rotation = self::rotation(core, config)?;
        output::note(&format!(
            "a new master key is the first line of {}: back this file up before you continue",
            path.display()
        ));
    }
    Ok(rotation.run(&note, stop).await?)
}

fn rotation(core: &Core, config: &Config) -> Result<Rotation, CliError> {
    let keks = key_files::master_keys(config, false, &*core.env.entropy)?;
    Ok(Rotation { store: Arc::clone(&core.store), keks, env: core.env.clone() })
}

fn note(progress: Progress) {
    output::note(&match progress {
        Progress::Moved { users, of } => {
            format!("user keys under the new master key: {users} of {of}")
        }
        Progress::Failed { owner, reason } => {
            format!("the keys of user {owner} do not open, and are left aside: {reason}")
        }
        Progress::Proved { users, of } => {
            format!("users whose keys open with the new master key alone: {users} of {of}")
        }
    });
}

fn tell(rotated: &Rotated, own: Option<&Path>, dropped: bool, json: bool) {
    let Rotated { from, to, rewrapped, rekeyed, users, secrets } = rotated;
    let from: Vec<String> = from.iter().copied().map(hex).collect();
    if json {
        return output::json(&serde_json::json!({
            "from": from,
            "to": hex(*to),
            "rewrapped": rewrapped,
            "rekeyed": rekeyed,
            "opened": { "users": users, "secrets": secrets },
            "old_keys_dropped": dropped,
        }));
    }
    // Empty if another process running the same rotation finished first.
    let left = if from.is_empty() {
        String::new()
    } else {
        format!("; nothing is under {} any more", from.join(", "))
    };
    output::line(&format!("everything is under master key {}{left}", hex(*to)));
    output::line(&format!(
        "user keys wrapped again: {rewrapped}; users with a new key, because they deleted \
         something: {rekeyed}"
    ));
    output::line(&format!(
        "opened with the new master key alone: keys of {users} users, data keys of {secrets} secrets"
    ));
    output::line(&match (own, dropped) {
        (Some(path), true) => {
            format!(
                "the old keys were removed from {}: backups made before this can no longer be \
                 opened with it",
                path.display()
            )
        }
        (Some(path), false) => format!(
            "the old keys are still in {}, after the first line: remove those lines once no backup \
             needs them",
            path.display()
        ),
        (None, _) => {
            "remove the old keys from the lists of all processes, and restart these processes"
                .to_owned()
        }
    });
}

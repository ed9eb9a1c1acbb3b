//! `vault rotate`: moves everything under a new master key.

use super::CliError;
use super::args::RotateArgs;
use super::operation::Control;
use super::output::Text;
use crate::app::config::Config;
use crate::app::key_files;
use crate::app::wiring::Core;
use crate::keychain::{Progress, Rotated, Rotation, hex};
use crate::socket::Answer;
use crate::system::failure::store_failure;
use claviger_domain::code::ErrorCode;
use std::path::Path;
use std::sync::Arc;

pub(super) async fn execute(
    args: &RotateArgs,
    core: &Core,
    json: bool,
    control: &Control<'_>,
) -> Result<Answer, CliError> {
    let own = key_files::own_file(&core.config);
    if args.drop_old && own.is_none() {
        let message = "--drop-old is for master.key in the data directory, but the configuration gives the \
                       master keys: remove the old ones from your list when the rotation has ended";
        return Err(CliError::new(ErrorCode::Validation, message));
    }
    let rotated = rotate(core, &core.config, own.as_deref(), control).await?;
    if let (Some(path), true) = (&own, args.drop_old) {
        key_files::keep_first(path)?;
    }
    let mut text = Text::default();
    tell(&mut text, &rotated, (own.as_deref(), args.drop_old), json);
    Ok(Answer { out: text.into_string(), exit: 0 })
}

async fn rotate(
    core: &Core,
    config: &Config,
    own: Option<&Path>,
    control: &Control<'_>,
) -> Result<Rotated, CliError> {
    let mut rotation = rotation(core, config)?;
    if let Some(path) = own
        && rotation.is_done().await.map_err(|error| store_failure(&error))?
    {
        // On disk before anything is wrapped by it. If a crash leaves it unused, the next run uses
        // it.
        key_files::add_first(path, &*core.env.entropy)?;
        rotation = self::rotation(core, config)?;
        (control.note)(&format!(
            "a new master key is the first line of {}: back this file up before you continue",
            path.display()
        ));
    }
    let told = |progress| (control.note)(&note(progress));
    Ok(rotation.run(&told, control.stop).await?)
}

fn rotation(core: &Core, config: &Config) -> Result<Rotation, CliError> {
    let keks = key_files::master_keys(config, false, &*core.env.entropy)?;
    Ok(Rotation { store: Arc::clone(&core.store), keks, env: core.env.clone() })
}

fn note(progress: Progress) -> String {
    match progress {
        Progress::Moved { users, of } => {
            format!("user keys under the new master key: {users} of {of}")
        }
        Progress::Failed { owner, reason } => {
            format!("the keys of user {owner} do not open, and are left aside: {reason}")
        }
        Progress::Proved { users, of } => {
            format!("users whose keys open with the new master key alone: {users} of {of}")
        }
    }
}

fn tell(text: &mut Text, rotated: &Rotated, (own, dropped): (Option<&Path>, bool), json: bool) {
    let Rotated { from, to, rewrapped, rekeyed, users, secrets } = rotated;
    let from: Vec<String> = from.iter().copied().map(hex).collect();
    if json {
        return text.json(&serde_json::json!({
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
    text.line(&format!("everything is under master key {}{left}", hex(*to)));
    text.line(&format!(
        "user keys wrapped again: {rewrapped}; users with a new key, because they deleted \
         something: {rekeyed}"
    ));
    text.line(&format!(
        "opened with the new master key alone: keys of {users} users, data keys of {secrets} secrets"
    ));
    text.line(&match (own, dropped) {
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

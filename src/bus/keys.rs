//! Commands on keys.

use super::input::canonical;
use super::key_recipe::{KeyRecipe, PlannedKeyCommand};
use super::records::Repeat;
use super::{Bus, Commands};
use crate::keychain::UserKeys;
use claviger_application::{Answer, CommandContext, KeyCommand, KeyCommands, KeyDone};
use claviger_domain::failure::Failure;
use claviger_domain::id::KeyId;
use claviger_domain::key_ring::{
    ActivateKey, AddKey, ChangeKey, ClearDefault, DeactivateKey, DeleteKey, RenameKey,
    ReplaceSecret, SetDefault, SetExpiry,
};
use std::sync::Arc;

impl KeyCommands for Commands {
    fn run(&self, context: CommandContext, command: KeyCommand) -> Answer<'_, KeyDone> {
        let (bus, kind, owner) = (Arc::clone(&self.bus), command.kind(), context.owner);
        let work = async move { bus.run_key_command(context, command).await };
        Box::pin(self.bus.enter((kind, owner), &self.limits, work))
    }
}

impl Bus {
    async fn run_key_command(
        &self,
        context: CommandContext,
        command: KeyCommand,
    ) -> Result<KeyDone, Failure> {
        let keys = self.keys_of(context.owner).await?;
        let (mutation, input) = canonical(&command);
        let prepared = self.prepared(context, &keys, (mutation, &input));
        drop(input);
        if let Some(Repeat { commit, subject }) = self.repeated(&prepared).await? {
            return Ok(KeyDone { commit, key: subject.map(KeyId) });
        }
        if let KeyCommand::Test { key, level, model } = command {
            return self.test_key(prepared, keys, (key, level, model)).await;
        }
        let command = self.planned(&keys, command)?;
        let mut recipe = KeyRecipe { keys, command_id: prepared.command_id, command };
        self.execute(&prepared, &mut recipe).await.map(|result| result.done)
    }

    /// Converts the API's command to the aggregate's, and adds keyed hashes and ids.
    fn planned(&self, keys: &UserKeys, command: KeyCommand) -> Result<PlannedKeyCommand, Failure> {
        let (index, now) = (&keys.index, self.env.clock.now());
        let mut new_secret = None;
        let (subject, command) = match command {
            KeyCommand::Add { name, secret, make_default, context, expires_at } => {
                let key = KeyId(self.env.ids.next());
                let (preview, fingerprint) = (secret.preview(), index.fingerprint(&secret));
                new_secret = Some(secret);
                let context_tag = index.context_tag(context.as_str());
                let max_keys = self.config.max_keys;
                let command = AddKey {
                    key,
                    name,
                    preview,
                    fingerprint,
                    make_default,
                    context,
                    context_tag,
                    expires_at,
                    now,
                    max_keys,
                };
                (Some(key), command.into())
            }
            // `test_key` handles it: a test is two commits with a call between them.
            KeyCommand::Test { .. } => return Err(Failure::internal()),
            KeyCommand::SetDefault { key, context, expected } => {
                let context_tag = index.context_tag(context.as_str());
                (Some(key), SetDefault { key, context, context_tag, expected, now }.into())
            }
            KeyCommand::ClearDefault { context, expected } => {
                let context_tag = index.context_tag(context.as_str());
                (None, ClearDefault { context, context_tag, expected }.into())
            }
            KeyCommand::Activate { key, expected } => {
                (Some(key), ActivateKey { key, expected }.into())
            }
            KeyCommand::Deactivate { key, expected } => {
                (Some(key), DeactivateKey { key, expected }.into())
            }
            KeyCommand::Rename { key, name, expected } => {
                (Some(key), RenameKey { key, name, expected }.into())
            }
            KeyCommand::Change { key, name, is_active, is_default, context, expected } => {
                let context_tag = index.context_tag(context.as_str());
                let command = ChangeKey {
                    key,
                    name,
                    is_active,
                    is_default,
                    context,
                    context_tag,
                    expected,
                    now,
                };
                (Some(key), command.into())
            }
            KeyCommand::ReplaceSecret { key, secret, expected } => {
                let (preview, fingerprint) = (secret.preview(), index.fingerprint(&secret));
                new_secret = Some(secret);
                (Some(key), ReplaceSecret { key, fingerprint, preview, expected }.into())
            }
            KeyCommand::SetExpiry { key, expires_at, expected } => {
                (Some(key), SetExpiry { key, expires_at, expected, now }.into())
            }
            KeyCommand::Delete { key, expected } => (Some(key), DeleteKey { key, expected }.into()),
        };
        Ok(PlannedKeyCommand { command, secret: new_secret, subject })
    }
}

//! Mutations on keys: parse the input, run the command, read the key's current state.

use super::call::{command_context, model};
use super::inputs::{
    AddKeyInput, ClearDefaultKeyInput, DefaultKeyInput, KeyInput, RenameKeyInput,
    ReplaceKeySecretInput, SetKeyExpiryInput, TestKeyInput,
};
use super::payloads::{DeleteKeyPayload, KeyPayload};
use crate::context::{ports, principal};
use crate::query;
use crate::scalars::{Position, Secret};
use crate::types::{KeyTestLevel, context_of};
use async_graphql::{Context, Error, ID, Object};
use claviger_application::ids::{self, IdKind};
use claviger_application::{KeyCommand, KeyDone};
use claviger_domain::api_key::ApiKeySecret;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::KeyId;
use claviger_domain::text::{self, KeyName};

/// Mutations on keys.
#[derive(Default)]
pub(crate) struct KeyMutations;

/// An invalid id becomes one that no key has, so it gives the same answer as another user's key.
fn key_id(id: &ID) -> KeyId {
    KeyId(ids::decode_as(IdKind::ApiKey, id).unwrap_or_default())
}

fn version(expected: Option<Position>) -> Option<u64> {
    expected.map(|position| position.0)
}

fn context(given: Option<&str>) -> Result<text::Context, Failure> {
    context_of(given, &["context"])
}

fn name(given: &str) -> Result<KeyName, Failure> {
    KeyName::parse(given).map_err(|error| Failure::text(&error, &["name"]))
}

fn secret(given: &Secret) -> Result<ApiKeySecret, Failure> {
    ApiKeySecret::parse(&given.0)
        .map_err(|error| Failure::new(ErrorCode::Validation, error.to_string()).at(&["secret"]))
}

async fn run(
    ctx: &Context<'_>,
    idempotency_key: Option<&ID>,
    command: Result<KeyCommand, Failure>,
) -> Result<Result<KeyDone, Failure>, Error> {
    Ok(match (command_context(ctx, idempotency_key)?, command) {
        (Ok(context), Ok(command)) => ports(ctx)?.keys.run(context, command).await,
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
    })
}

/// Runs a command and returns its key.
async fn key_payload(
    ctx: &Context<'_>,
    idempotency_key: Option<ID>,
    client_mutation_id: Option<String>,
    command: Result<KeyCommand, Failure>,
) -> Result<KeyPayload, Error> {
    let owner = principal(ctx)?.user;
    match run(ctx, idempotency_key.as_ref(), command).await? {
        Ok(done) => {
            let key = match done.key {
                Some(key) => query::key(ctx, owner, key).await?,
                None => None,
            };
            Ok(KeyPayload {
                key,
                user_errors: Vec::new(),
                commit: Some(done.commit.into()),
                client_mutation_id,
            })
        }
        Err(failure) => KeyPayload::refused(&failure, client_mutation_id),
    }
}

#[Object]
impl KeyMutations {
    /// Adds a key.
    async fn add_key(&self, ctx: &Context<'_>, input: AddKeyInput) -> Result<KeyPayload, Error> {
        let command = (|| {
            Ok(KeyCommand::Add {
                name: name(&input.name)?,
                secret: secret(&input.secret)?,
                make_default: input.make_default,
                context: context(input.context.as_deref())?,
                expires_at: input.expires_at.map(|at| at.0),
            })
        })();
        key_payload(ctx, input.idempotency_key, input.client_mutation_id, command).await
    }
    /// Tests a key with a call to Anthropic. Works on inactive keys; never blocks other commands.
    async fn test_key(&self, ctx: &Context<'_>, input: TestKeyInput) -> Result<KeyPayload, Error> {
        let model = input.model.as_deref().map(model);
        let level = input.level.unwrap_or(KeyTestLevel::Full).into();
        let command = model.transpose().map(|model| KeyCommand::Test {
            key: key_id(&input.id),
            level,
            model,
        });
        key_payload(ctx, input.idempotency_key, input.client_mutation_id, command).await
    }
    /// Makes a key the default of a context, replacing the previous default.
    async fn set_default_key(
        &self,
        ctx: &Context<'_>,
        input: DefaultKeyInput,
    ) -> Result<KeyPayload, Error> {
        let expected = version(input.expected_version);
        let command = context(input.context.as_deref()).map(|context| KeyCommand::SetDefault {
            key: key_id(&input.id),
            context,
            expected,
        });
        key_payload(ctx, input.idempotency_key, input.client_mutation_id, command).await
    }
    /// Removes the default of a context and returns the key that was the default.
    async fn clear_default_key(
        &self,
        ctx: &Context<'_>,
        input: ClearDefaultKeyInput,
    ) -> Result<KeyPayload, Error> {
        let expected = version(input.expected_version);
        let command = context(input.context.as_deref())
            .map(|context| KeyCommand::ClearDefault { context, expected });
        key_payload(ctx, input.idempotency_key, input.client_mutation_id, command).await
    }
    /// Allows a key to be used again. It does not get back its former defaults.
    async fn activate_key(&self, ctx: &Context<'_>, input: KeyInput) -> Result<KeyPayload, Error> {
        let command = KeyCommand::Activate {
            key: key_id(&input.id),
            expected: version(input.expected_version),
        };
        key_payload(ctx, input.idempotency_key, input.client_mutation_id, Ok(command)).await
    }
    /// Prevents a key from being used. It loses its defaults.
    async fn deactivate_key(
        &self,
        ctx: &Context<'_>,
        input: KeyInput,
    ) -> Result<KeyPayload, Error> {
        let command = KeyCommand::Deactivate {
            key: key_id(&input.id),
            expected: version(input.expected_version),
        };
        key_payload(ctx, input.idempotency_key, input.client_mutation_id, Ok(command)).await
    }
    /// Renames a key.
    async fn rename_key(
        &self,
        ctx: &Context<'_>,
        input: RenameKeyInput,
    ) -> Result<KeyPayload, Error> {
        let (key, expected) = (key_id(&input.id), version(input.expected_version));
        let command = name(&input.name).map(|name| KeyCommand::Rename { key, name, expected });
        key_payload(ctx, input.idempotency_key, input.client_mutation_id, command).await
    }
    /// Replaces the secret of a key under the same id. Calls in progress finish with the old
    /// secret.
    async fn replace_key_secret(
        &self,
        ctx: &Context<'_>,
        input: ReplaceKeySecretInput,
    ) -> Result<KeyPayload, Error> {
        let (key, expected) = (key_id(&input.id), version(input.expected_version));
        let command =
            secret(&input.secret).map(|secret| KeyCommand::ReplaceSecret { key, secret, expected });
        key_payload(ctx, input.idempotency_key, input.client_mutation_id, command).await
    }
    /// Sets or removes the expiry of a key. A later expiry revives an expired key, without its
    /// former defaults.
    async fn set_key_expiry(
        &self,
        ctx: &Context<'_>,
        input: SetKeyExpiryInput,
    ) -> Result<KeyPayload, Error> {
        let expires_at = input.expires_at.map(|at| at.0);
        let command = KeyCommand::SetExpiry {
            key: key_id(&input.id),
            expires_at,
            expected: version(input.expected_version),
        };
        key_payload(ctx, input.idempotency_key, input.client_mutation_id, Ok(command)).await
    }
    /// Deletes a key permanently and shreds its secret.
    async fn delete_key(
        &self,
        ctx: &Context<'_>,
        input: KeyInput,
    ) -> Result<DeleteKeyPayload, Error> {
        let key = key_id(&input.id);
        let command = KeyCommand::Delete { key, expected: version(input.expected_version) };
        let result = run(ctx, input.idempotency_key.as_ref(), Ok(command)).await?;
        DeleteKeyPayload::of(result.map(|done| (key, done.commit)), input.client_mutation_id)
    }
}

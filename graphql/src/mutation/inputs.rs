//! Inputs of the schema. Fields of type `Secret` are accepted only from variables.

use crate::scalars::{DateTime, Position, Secret};
use crate::types::{KeyTestLevel, default_context};
use async_graphql::{ID, InputObject};

/// A new account.
#[derive(InputObject)]
pub(crate) struct RegisterInput {
    /// 3 to 50 characters, unique, without @.
    pub(crate) username: String,
    /// Unique; compared in lower case.
    pub(crate) email: String,
    /// At least 8 characters.
    pub(crate) password: Secret,
    /// The name to display, as the user writes it.
    pub(crate) full_name: Option<String>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// Credentials for signing in.
#[derive(InputObject)]
pub(crate) struct LoginInput {
    /// The username or the e-mail address.
    pub(crate) username_or_email: String,
    /// The password.
    pub(crate) password: Secret,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A request for the next tokens of a session.
#[derive(InputObject)]
pub(crate) struct RefreshSessionInput {
    /// The newest refresh token of the session.
    pub(crate) refresh_token: Secret,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A request to end the current session.
#[derive(InputObject)]
pub(crate) struct LogoutInput {
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A change of password.
#[derive(InputObject)]
pub(crate) struct ChangePasswordInput {
    /// The current password.
    pub(crate) current_password: Secret,
    /// The new password, at least 8 characters.
    pub(crate) new_password: Secret,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A request to end the other sessions.
#[derive(InputObject)]
pub(crate) struct RevokeSessionsInput {
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A key to add.
#[derive(InputObject)]
pub(crate) struct AddKeyInput {
    /// 1 to 100 characters.
    pub(crate) name: String,
    /// The Anthropic API key.
    pub(crate) secret: Secret,
    /// Whether the key becomes the default of the context. null: only if the context has no
    /// default.
    pub(crate) make_default: Option<bool>,
    /// The context whose default the key may become.
    #[graphql(default_with = "default_context()")]
    pub(crate) context: Option<String>,
    /// When the key expires; never if omitted.
    pub(crate) expires_at: Option<DateTime>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A key to act on.
#[derive(InputObject)]
pub(crate) struct KeyInput {
    /// The key's id.
    pub(crate) id: ID,
    /// The version that the caller saw; if it is not current, the mutation is refused with
    /// `CONFLICT`.
    pub(crate) expected_version: Option<Position>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A test of a key.
#[derive(InputObject)]
pub(crate) struct TestKeyInput {
    /// The key's id.
    pub(crate) id: ID,
    /// How far the test goes.
    #[graphql(default_with = "full()")]
    pub(crate) level: Option<KeyTestLevel>,
    /// The model to test with; the cheapest current one if omitted.
    pub(crate) model: Option<String>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "the field is nullable")]
fn full() -> Option<KeyTestLevel> {
    Some(KeyTestLevel::Full)
}

/// A key that becomes the default of a context.
#[derive(InputObject)]
pub(crate) struct DefaultKeyInput {
    /// The key's id.
    pub(crate) id: ID,
    /// The context.
    #[graphql(default_with = "default_context()")]
    pub(crate) context: Option<String>,
    /// The version that the caller saw; if it is not current, the mutation is refused with
    /// `CONFLICT`.
    pub(crate) expected_version: Option<Position>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A context whose default is removed.
#[derive(InputObject)]
pub(crate) struct ClearDefaultKeyInput {
    /// The context.
    #[graphql(default_with = "default_context()")]
    pub(crate) context: Option<String>,
    /// The version that the caller saw of the current default key; if it is not current, the
    /// mutation is refused with `CONFLICT`.
    pub(crate) expected_version: Option<Position>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A new name for a key.
#[derive(InputObject)]
pub(crate) struct RenameKeyInput {
    /// The key's id.
    pub(crate) id: ID,
    /// 1 to 100 characters.
    pub(crate) name: String,
    /// The version that the caller saw; if it is not current, the mutation is refused with
    /// `CONFLICT`.
    pub(crate) expected_version: Option<Position>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A new secret under the same key id. Calls in progress finish with the old secret.
#[derive(InputObject)]
pub(crate) struct ReplaceKeySecretInput {
    /// The key's id.
    pub(crate) id: ID,
    /// The new Anthropic API key.
    pub(crate) secret: Secret,
    /// The version that the caller saw; if it is not current, the mutation is refused with
    /// `CONFLICT`.
    pub(crate) expected_version: Option<Position>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A new expiry for a key.
#[derive(InputObject)]
pub(crate) struct SetKeyExpiryInput {
    /// The key's id.
    pub(crate) id: ID,
    /// When the key expires; null for never.
    pub(crate) expires_at: Option<DateTime>,
    /// The version that the caller saw; if it is not current, the mutation is refused with
    /// `CONFLICT`.
    pub(crate) expected_version: Option<Position>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

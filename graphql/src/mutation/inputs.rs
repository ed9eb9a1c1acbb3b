//! Inputs of the contract. `Secret` fields are taken from variables only.

use crate::scalars::{DateTime, Position, Secret};
use crate::types::{KeyTestLevel, default_context};
use async_graphql::{ID, InputObject};

/// A new account.
#[derive(InputObject)]
pub(crate) struct RegisterInput {
    /// 3 to 50 characters, unique, no @.
    pub(crate) username: String,
    /// Unique.
    pub(crate) email: String,
    /// At least 8 characters.
    pub(crate) password: Secret,
    /// As the user writes it.
    pub(crate) full_name: Option<String>,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// Signing in.
#[derive(InputObject)]
pub(crate) struct LoginInput {
    /// Either.
    pub(crate) username_or_email: String,
    /// The password.
    pub(crate) password: Secret,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// The next tokens.
#[derive(InputObject)]
pub(crate) struct RefreshSessionInput {
    /// The newest refresh token of the session.
    pub(crate) refresh_token: Secret,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// Signing out.
#[derive(InputObject)]
pub(crate) struct LogoutInput {
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// Another password.
#[derive(InputObject)]
pub(crate) struct ChangePasswordInput {
    /// The present one.
    pub(crate) current_password: Secret,
    /// The next one, at least 8 characters.
    pub(crate) new_password: Secret,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// Ending the other sessions.
#[derive(InputObject)]
pub(crate) struct RevokeSessionsInput {
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// makeDefault null: becomes the default if the context has none.
#[derive(InputObject)]
pub(crate) struct AddKeyInput {
    /// 1 to 100 characters.
    pub(crate) name: String,
    /// The API key.
    pub(crate) secret: Secret,
    /// null: becomes the default if the context has none.
    pub(crate) make_default: Option<bool>,
    /// The context it may become the default of.
    #[graphql(default_with = "default_context()")]
    pub(crate) context: Option<String>,
    /// When it expires.
    pub(crate) expires_at: Option<DateTime>,
    /// Makes a repeat harmless.
    pub(crate) idempotency_key: Option<ID>,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A key.
#[derive(InputObject)]
pub(crate) struct KeyInput {
    /// Its id.
    pub(crate) id: ID,
    /// The version the caller saw.
    pub(crate) expected_version: Option<Position>,
    /// Makes a repeat harmless.
    pub(crate) idempotency_key: Option<ID>,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A test of a key.
#[derive(InputObject)]
pub(crate) struct TestKeyInput {
    /// Its id.
    pub(crate) id: ID,
    /// How far it goes.
    #[graphql(default_with = "full()")]
    pub(crate) level: Option<KeyTestLevel>,
    /// The model it is tried with; the cheapest current one without.
    pub(crate) model: Option<String>,
    /// Makes a repeat harmless.
    pub(crate) idempotency_key: Option<ID>,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "the field is nullable")]
fn full() -> Option<KeyTestLevel> {
    Some(KeyTestLevel::Full)
}

/// A key to be the default of a context.
#[derive(InputObject)]
pub(crate) struct DefaultKeyInput {
    /// Its id.
    pub(crate) id: ID,
    /// The context.
    #[graphql(default_with = "default_context()")]
    pub(crate) context: Option<String>,
    /// The version the caller saw.
    pub(crate) expected_version: Option<Position>,
    /// Makes a repeat harmless.
    pub(crate) idempotency_key: Option<ID>,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A context to be without default.
#[derive(InputObject)]
pub(crate) struct ClearDefaultKeyInput {
    /// The context.
    #[graphql(default_with = "default_context()")]
    pub(crate) context: Option<String>,
    /// The version of the present default key that the caller saw.
    pub(crate) expected_version: Option<Position>,
    /// Makes a repeat harmless.
    pub(crate) idempotency_key: Option<ID>,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// Another name.
#[derive(InputObject)]
pub(crate) struct RenameKeyInput {
    /// The key's id.
    pub(crate) id: ID,
    /// 1 to 100 characters.
    pub(crate) name: String,
    /// The version the caller saw.
    pub(crate) expected_version: Option<Position>,
    /// Makes a repeat harmless.
    pub(crate) idempotency_key: Option<ID>,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// The same key id with a new secret. Calls under way finish with the old one.
#[derive(InputObject)]
pub(crate) struct ReplaceKeySecretInput {
    /// The key's id.
    pub(crate) id: ID,
    /// The new API key.
    pub(crate) secret: Secret,
    /// The version the caller saw.
    pub(crate) expected_version: Option<Position>,
    /// Makes a repeat harmless.
    pub(crate) idempotency_key: Option<ID>,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// Another expiry.
#[derive(InputObject)]
pub(crate) struct SetKeyExpiryInput {
    /// The key's id.
    pub(crate) id: ID,
    /// When it expires; null for never.
    pub(crate) expires_at: Option<DateTime>,
    /// The version the caller saw.
    pub(crate) expected_version: Option<Position>,
    /// Makes a repeat harmless.
    pub(crate) idempotency_key: Option<ID>,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

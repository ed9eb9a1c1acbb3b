//! Inputs of mutations on accounts.

use crate::scalars::{Position, Secret};
use crate::types::Role;
use async_graphql::{ID, InputObject, MaybeUndefined};

/// A session to end.
#[derive(InputObject)]
pub(crate) struct SessionInput {
    /// The session's id.
    pub(crate) id: ID,
    /// Makes a retry safe: a repeat with the same key returns the first result.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// New names of an account. What is left out stays.
#[derive(InputObject)]
pub(crate) struct RenameAccountInput {
    /// The account's id; the viewer's own if omitted.
    pub(crate) id: Option<ID>,
    /// 3 to 50 characters, unique, without @.
    pub(crate) username: Option<String>,
    /// Unique; compared in lower case.
    pub(crate) email: Option<String>,
    /// The name to display; null removes it.
    pub(crate) full_name: MaybeUndefined<String>,
    /// The version that the caller saw; if it is not current, the mutation is refused with
    /// `CONFLICT`.
    pub(crate) expected_version: Option<Position>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// An account to act on.
#[derive(InputObject)]
pub(crate) struct AccountInput {
    /// The account's id.
    pub(crate) id: ID,
    /// The version that the caller saw; if it is not current, the mutation is refused with
    /// `CONFLICT`.
    pub(crate) expected_version: Option<Position>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A role of an account.
#[derive(InputObject)]
pub(crate) struct AccountRoleInput {
    /// The account's id.
    pub(crate) id: ID,
    /// AUDITOR or ADMIN: every account has USER.
    pub(crate) role: Role,
    /// The version that the caller saw; if it is not current, the mutation is refused with
    /// `CONFLICT`.
    pub(crate) expected_version: Option<Position>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// An account that an administrator creates.
#[derive(InputObject)]
pub(crate) struct CreateAccountInput {
    /// 3 to 50 characters, unique, without @.
    pub(crate) username: String,
    /// Unique; compared in lower case.
    pub(crate) email: String,
    /// At least 8 characters. If omitted, the payload has a token that sets one.
    pub(crate) password: Option<Secret>,
    /// The name to display, as the user writes it.
    pub(crate) full_name: Option<String>,
    /// The roles; USER is always among them.
    pub(crate) roles: Option<Vec<Role>>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// A new password, by the token of a reset.
#[derive(InputObject)]
pub(crate) struct ResetPasswordInput {
    /// The token that an administrator handed over.
    pub(crate) token: Secret,
    /// The new password, at least 8 characters.
    pub(crate) new_password: Secret,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

//! Payloads of the schema's mutations.

use super::user_errors::{UserError, user_error};
use crate::scalars::{DateTime, Position};
use crate::types::{Account, ApiKey, Orchestration, Viewer};
use async_graphql::{Error, ID, Interface, SimpleObject};
use claviger_application::ids::{self, IdKind};
use claviger_domain::failure::Failure;
use claviger_domain::id::KeyId;

/// What a mutation committed.
#[derive(Clone, SimpleObject)]
pub(crate) struct Commit {
    /// Position of the last event, or of the log's head if nothing had to be done. For minPosition.
    position: Position,
    /// The stream that was written.
    stream: String,
    /// Version of the stream after the commit.
    version: Position,
    /// The events, in order; empty if the state was already as requested.
    event_ids: Vec<ID>,
    /// This idempotency key was used before, and this is the result of the first request.
    replayed: bool,
}

impl From<claviger_application::Commit> for Commit {
    fn from(commit: claviger_application::Commit) -> Self {
        Self {
            position: Position(commit.position),
            stream: commit.stream.to_string(),
            version: Position(commit.version),
            event_ids: commit
                .event_ids
                .into_iter()
                .map(|id| ID(ids::encode(IdKind::Event, id.0)))
                .collect(),
            replayed: commit.replayed,
        }
    }
}

/// The common fields of every mutation on keys, orchestrations and, by administrators, accounts.
#[derive(Interface)]
#[expect(clippy::large_enum_variant, reason = "never made: it only names the interface")]
#[graphql(
    field(name = "user_errors", ty = "&Vec<UserError>"),
    field(name = "commit", ty = "&Option<Commit>"),
    field(name = "client_mutation_id", ty = "&Option<String>")
)]
pub(crate) enum MutationPayload {
    Key(KeyPayload),
    Delete(DeleteKeyPayload),
    Orchestration(OrchestrationPayload),
    Account(AccountPayload),
}

/// A key's current state after a mutation.
#[derive(SimpleObject)]
pub(crate) struct KeyPayload {
    /// The key; null after a refusal, or if it has been deleted.
    pub(crate) key: Option<ApiKey>,
    /// Why nothing was changed; empty on success.
    pub(crate) user_errors: Vec<UserError>,
    /// What was committed; null after a refusal.
    pub(crate) commit: Option<Commit>,
    /// Returned unchanged from the input.
    pub(crate) client_mutation_id: Option<String>,
}

impl KeyPayload {
    pub(crate) fn refused(
        failure: &Failure,
        client_mutation_id: Option<String>,
    ) -> Result<Self, Error> {
        Ok(Self {
            key: None,
            user_errors: vec![user_error(failure)?],
            commit: None,
            client_mutation_id,
        })
    }
}

/// The result of a deletion.
#[derive(SimpleObject)]
pub(crate) struct DeleteKeyPayload {
    /// The id of the deleted key; null after a refusal.
    pub(crate) deleted_id: Option<ID>,
    /// Why nothing was changed; empty on success.
    pub(crate) user_errors: Vec<UserError>,
    /// What was committed; null after a refusal.
    pub(crate) commit: Option<Commit>,
    /// Returned unchanged from the input.
    pub(crate) client_mutation_id: Option<String>,
}

impl DeleteKeyPayload {
    pub(crate) fn of(
        result: Result<(KeyId, claviger_application::Commit), Failure>,
        client_mutation_id: Option<String>,
    ) -> Result<Self, Error> {
        let (deleted_id, commit, user_errors) = match result {
            Ok((key, commit)) => {
                (Some(ID(ids::encode(IdKind::ApiKey, key.0))), Some(commit.into()), Vec::new())
            }
            Err(failure) => (None, None, vec![user_error(&failure)?]),
        };
        Ok(Self { deleted_id, user_errors, commit, client_mutation_id })
    }
}

/// An orchestration's current state after a mutation.
#[derive(SimpleObject)]
pub(crate) struct OrchestrationPayload {
    /// The orchestration; null after a refusal.
    pub(crate) orchestration: Option<Orchestration>,
    /// Why nothing was changed; empty on success.
    pub(crate) user_errors: Vec<UserError>,
    /// What was committed; null after a refusal.
    pub(crate) commit: Option<Commit>,
    /// Returned unchanged from the input.
    pub(crate) client_mutation_id: Option<String>,
}

/// An account's current state after a mutation.
#[derive(Default, SimpleObject)]
pub(crate) struct AccountPayload {
    /// The account; null after a refusal.
    pub(crate) account: Option<Account>,
    /// Sets a new password once (`resetPassword`). Shown once: a repeat is answered without it.
    pub(crate) reset_token: Option<String>,
    /// When the token expires.
    pub(crate) reset_token_expires_at: Option<DateTime>,
    /// Why nothing was changed; empty on success.
    pub(crate) user_errors: Vec<UserError>,
    /// What was committed; null after a refusal.
    pub(crate) commit: Option<Commit>,
    /// Returned unchanged from the input.
    pub(crate) client_mutation_id: Option<String>,
}

/// The tokens of a session, or why none were issued.
#[derive(Default, SimpleObject)]
pub(crate) struct SessionPayload {
    /// For requests, in the header Authorization: Bearer TOKEN.
    pub(crate) access_token: Option<String>,
    /// For refreshSession. Works once.
    pub(crate) refresh_token: Option<String>,
    /// When the access token expires.
    pub(crate) expires_at: Option<DateTime>,
    /// The user who signed in.
    pub(crate) viewer: Option<Viewer>,
    /// Why no tokens were issued; empty on success.
    pub(crate) user_errors: Vec<UserError>,
    /// Returned unchanged from the input.
    pub(crate) client_mutation_id: Option<String>,
}

/// The result of ending sessions.
#[derive(SimpleObject)]
pub(crate) struct LogoutPayload {
    /// Why no session was ended; empty on success.
    pub(crate) user_errors: Vec<UserError>,
    /// Returned unchanged from the input.
    pub(crate) client_mutation_id: Option<String>,
}

/// A ticket that authorizes one stream.
#[derive(SimpleObject)]
pub(crate) struct StreamTicket {
    /// For the query parameter ?ticket=.
    pub(crate) ticket: String,
    /// When the ticket must have been used for the first time.
    pub(crate) expires_at: DateTime,
}

//! Payloads of the contract.

use crate::error::{UserError, user_error};
use crate::scalars::{DateTime, Position};
use crate::types::{ApiKey, Orchestration, Viewer};
use async_graphql::{Error, ID, Interface, SimpleObject};
use claviger_application;
use claviger_application::ids::{self, IdKind};
use claviger_domain::failure::Failure;
use claviger_domain::id::KeyId;

/// What was committed. `replayed`: this idempotency key had been answered before, and this is that answer.
#[derive(Clone, SimpleObject)]
pub(crate) struct Commit {
    /// Position of the last event, or the head's where nothing had to be done: for minPosition.
    position: Position,
    /// The stream.
    stream: String,
    /// Its version.
    version: Position,
    /// The events, in order; empty where things were already as asked.
    event_ids: Vec<ID>,
    /// This idempotency key had been answered before.
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

/// What every mutation of keys and orchestrations answers.
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
}

/// A key after a mutation, as it is now.
#[derive(SimpleObject)]
pub(crate) struct KeyPayload {
    /// The key; null after a refusal, or where it is gone.
    pub(crate) key: Option<ApiKey>,
    /// Why nothing was changed.
    pub(crate) user_errors: Vec<UserError>,
    /// What was committed.
    pub(crate) commit: Option<Commit>,
    /// As it was given.
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

/// After a deletion.
#[derive(SimpleObject)]
pub(crate) struct DeleteKeyPayload {
    /// The key that is gone.
    pub(crate) deleted_id: Option<ID>,
    /// Why nothing was changed.
    pub(crate) user_errors: Vec<UserError>,
    /// What was committed.
    pub(crate) commit: Option<Commit>,
    /// As it was given.
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

/// An orchestration after a mutation, as it is now.
#[derive(SimpleObject)]
pub(crate) struct OrchestrationPayload {
    /// The orchestration; null after a refusal.
    pub(crate) orchestration: Option<Orchestration>,
    /// Why nothing was changed.
    pub(crate) user_errors: Vec<UserError>,
    /// What was committed.
    pub(crate) commit: Option<Commit>,
    /// As it was given.
    pub(crate) client_mutation_id: Option<String>,
}

/// Tokens, or why there are none.
#[derive(Default, SimpleObject)]
pub(crate) struct SessionPayload {
    /// For requests: Authorization: Bearer TOKEN.
    pub(crate) access_token: Option<String>,
    /// For refreshSession, once.
    pub(crate) refresh_token: Option<String>,
    /// When the access token expires.
    pub(crate) expires_at: Option<DateTime>,
    /// The user.
    pub(crate) viewer: Option<Viewer>,
    /// Why there are none.
    pub(crate) user_errors: Vec<UserError>,
    /// As it was given.
    pub(crate) client_mutation_id: Option<String>,
}

/// After sessions ended.
#[derive(SimpleObject)]
pub(crate) struct LogoutPayload {
    /// Why they didn't.
    pub(crate) user_errors: Vec<UserError>,
    /// As it was given.
    pub(crate) client_mutation_id: Option<String>,
}

/// A ticket for a stream.
#[derive(SimpleObject)]
pub(crate) struct StreamTicket {
    /// For ?ticket=.
    pub(crate) ticket: String,
    /// Until when it may be used first.
    pub(crate) expires_at: DateTime,
}

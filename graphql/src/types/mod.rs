//! The schema's object types.

mod account;
mod activity;
mod connection;
mod event;
mod key;
mod recorded;
mod resolution;
mod role;
mod runs;
mod server;
mod session;
mod viewer;

pub(crate) use account::{Account, Admin, admin, is_administrator, user_of};
pub(crate) use event::{Event, EventEdge};
pub(crate) use key::{ApiKey, KeyTestLevel};
pub(crate) use resolution::{CredentialCandidate, CredentialResolution, Model};
pub(crate) use role::Role;
pub(crate) use runs::{AgentRole, FailurePolicy, Followed, Orchestration, OrchestrationMessage};
pub(crate) use server::Server;
pub(crate) use session::Session;
pub(crate) use viewer::{Viewer, context_of, default_context, reach};

use async_graphql::{ID, Interface};

/// An object with an id that is unique across all types.
#[expect(clippy::large_enum_variant, reason = "made once, and shown at once")]
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID"))]
pub(crate) enum Node {
    Viewer(Viewer),
    ApiKey(ApiKey),
    Session(Session),
    Event(Event),
    Orchestration(Orchestration),
    Account(Account),
}

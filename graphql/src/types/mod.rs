//! The schema's object types.

mod activity;
mod connection;
mod event;
mod key;
mod recorded;
mod resolution;
mod runs;
mod session;
mod viewer;

pub(crate) use event::{Event, EventEdge};
pub(crate) use key::{ApiKey, KeyTestLevel};
pub(crate) use resolution::{CredentialCandidate, CredentialResolution, Model};
pub(crate) use runs::{AgentRole, FailurePolicy, Followed, Orchestration, OrchestrationMessage};
pub(crate) use session::Session;
pub(crate) use viewer::{Viewer, context_of, default_context, reach};

use crate::error::top_level;
use async_graphql::{Context, Error, ID, Interface};
use claviger_application::{Ports, Principal};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;

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
}

/// The ports that the schema was built with.
pub(crate) fn ports<'a>(ctx: &Context<'a>) -> Result<&'a Ports, Error> {
    ctx.data::<Ports>()
}

/// The authenticated principal. Without a valid token no user data can be requested.
pub(crate) fn principal<'a>(ctx: &Context<'a>) -> Result<&'a Principal, Error> {
    ctx.data::<Principal>().map_err(|_| {
        top_level(&Failure::new(
            ErrorCode::Unauthenticated,
            "sign in first: send the access token as Authorization: Bearer TOKEN (the mutations login and register return one)",
        ))
    })
}

/// A failed read, as a top-level error.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn fault(failure: Failure) -> Error {
    top_level(&failure)
}

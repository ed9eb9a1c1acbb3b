//! The contract's object types.

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
use claviger_application::{Caller, Ports};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;

/// Every id is unique across all types.
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

/// The ports, which the schema was built with.
pub(crate) fn ports<'a>(ctx: &Context<'a>) -> Result<&'a Ports, Error> {
    ctx.data::<Ports>()
}

/// Who asks; without a valid token nothing that is a user's can be asked for.
pub(crate) fn caller<'a>(ctx: &Context<'a>) -> Result<&'a Caller, Error> {
    ctx.data::<Caller>().map_err(|_| {
        top_level(&Failure::new(
            ErrorCode::Unauthenticated,
            "sign in first: send the access token as Authorization: Bearer TOKEN (get one by the mutations login or register)",
        ))
    })
}

/// A failure of a read, as a top-level error.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn fault(failure: Failure) -> Error {
    top_level(&failure)
}

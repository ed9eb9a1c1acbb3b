//! What the server puts into a request's context, and how a failed read leaves a resolver.

use crate::error::top_level;
use async_graphql::{Context, Error};
use claviger_application::{Ports, Principal};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;

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

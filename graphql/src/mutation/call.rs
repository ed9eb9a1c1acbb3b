//! Shared by the commands on keys and on orchestrations.

use crate::context::principal;
use async_graphql::{Context, Error, ID};
use claviger_application::{CommandContext, RequestInfo};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::text::{IdempotencyKey, ModelId};

/// Everything that a command on the principal's own things needs besides its input.
pub(super) fn command_context(
    ctx: &Context<'_>,
    idempotency_key: Option<&ID>,
) -> Result<Result<CommandContext, Failure>, Error> {
    let principal = principal(ctx)?;
    let info = ctx.data::<RequestInfo>()?;
    let parsed = idempotency_key.map(|key| IdempotencyKey::parse(key)).transpose();
    Ok(parsed.map_err(|error| Failure::text(&error, &["idempotencyKey"])).map(|idempotency_key| {
        CommandContext {
            owner: principal.user,
            actor: principal.actor(info.via),
            roles: principal.roles.clone(),
            foreign: principal.foreign,
            correlation: info.correlation,
            idempotency_key,
        }
    }))
}

/// Parses a model id from the input.
pub(super) fn model(given: &str) -> Result<ModelId, Failure> {
    ModelId::parse(given).ok_or_else(|| {
        let message = "the model id is invalid: use 1 to 128 letters, digits and . _ : - \
                       (the query models lists valid ids)";
        Failure::new(ErrorCode::Validation, message).at(&["model"])
    })
}

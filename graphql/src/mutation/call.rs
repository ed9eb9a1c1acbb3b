//! What commands on keys and on orchestrations share.

use crate::ports::{Call, RequestInfo};
use crate::types::caller;
use async_graphql::{Context, Error, ID};
use claviger_domain::actor::{ActingCredential, Actor};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::text::{IdempotencyKey, ModelId};

/// Everything about a command but the command.
pub(super) fn call(
    ctx: &Context<'_>,
    idempotency_key: Option<&ID>,
) -> Result<Result<Call, Failure>, Error> {
    let caller = caller(ctx)?;
    let info = ctx.data::<RequestInfo>()?;
    let parsed = idempotency_key.map(|key| IdempotencyKey::parse(key)).transpose();
    Ok(parsed.map_err(|error| Failure::text(&error, &["input", "idempotencyKey"])).map(
        |idempotency_key| Call {
            owner: caller.user,
            actor: Actor {
                user: Some(caller.user),
                role: caller.roles.last().copied(),
                via: info.via,
                credential: Some(ActingCredential::Session(caller.session)),
            },
            correlation: info.correlation,
            idempotency_key,
        },
    ))
}

/// Reads the input's model.
pub(super) fn model(given: &str) -> Result<ModelId, Failure> {
    ModelId::parse(given).ok_or_else(|| {
        let message = "the model id isn't one: letters, digits and . _ : - only, at most 128 (the query models lists them)";
        Failure::new(ErrorCode::Validation, message).at(&["input", "model"])
    })
}

//! Shared by the commands on keys and on orchestrations.

use crate::types::caller;
use async_graphql::{Context, Error, ID};
use claviger_application::{Call, RequestInfo};
use claviger_domain::actor::{ActingCredential, Actor};

use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::text::{IdempotencyKey, ModelId};

/// Everything that a command needs besides its own input.
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

/// Parses a model id from the input.
pub(super) fn model(given: &str) -> Result<ModelId, Failure> {
    ModelId::parse(given).ok_or_else(|| {
        let message = "the model id is invalid: use 1 to 128 letters, digits and . _ : - \
                       (the query models lists valid ids)";
        Failure::new(ErrorCode::Validation, message).at(&["input", "model"])
    })
}

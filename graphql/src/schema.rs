//! The schema, put together.

use crate::mutation::{Mutation, MutationPayload};
use crate::ports::Ports;
use crate::query::Query;
use crate::types::Node;
use async_graphql::{EmptySubscription, Schema};

/// The schema as a type.
#[expect(private_interfaces, reason = "the roots are named through this alias only")]
pub type ClavigerSchema = Schema<Query, Mutation, EmptySubscription>;

/// Puts the schema together over its ports. Limits are checked before execution by the face, not in here.
#[expect(private_interfaces, reason = "the roots are named through this alias only")]
pub fn build(ports: Ports) -> ClavigerSchema {
    Schema::build(Query, Mutation::default(), EmptySubscription)
        .register_output_type::<Node>()
        .register_output_type::<MutationPayload>()
        .disable_suggestions()
        .data(ports)
        .finish()
}

//! Builds the schema.

use crate::mutation::{Mutation, MutationPayload};
use crate::query::Query;
use crate::subscription::Subscription;
use crate::types::Node;
use async_graphql::{Request, Response, Schema, SchemaBuilder};
use claviger_application::Ports;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// The schema over its ports. Cheap to clone.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct ClavigerSchema(Schema<Query, Mutation, Subscription>);

fn plain() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation::default(), Subscription)
        .register_output_type::<Node>()
        .register_output_type::<MutationPayload>()
        .disable_suggestions()
        // Our own limit (`limits`) is stricter and has a better message.
        .limit_recursive_depth(64)
}

/// The SDL, as checked in as `schema.graphql`.
pub fn sdl() -> String {
    plain().finish().sdl()
}

/// Builds the schema over its ports. Limits are checked by the face before execution, not here.
pub fn build(ports: Ports) -> ClavigerSchema {
    ClavigerSchema(plain().data(ports).finish())
}

impl ClavigerSchema {
    /// Executes an operation. The request's data must hold a [`claviger_application::RequestInfo`],
    /// and a [`claviger_application::Principal`] if a user is signed in.
    ///
    /// Boxed here, so that the resolvers are compiled in this crate and not again in each that calls
    /// it.
    pub fn execute(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.0.execute(request))
    }

    /// Executes a subscription and returns its items, or a single response without data if it
    /// cannot begin. The request's data is that of [`Self::execute`], plus a
    /// [`crate::progress::Progress`] if the face needs to track the cursor.
    pub fn subscribe(&self, request: Request) -> BoxStream<'static, Response> {
        self.0.execute_stream(request)
    }

    /// The SDL.
    pub fn sdl(&self) -> String {
        self.0.sdl()
    }
}

//! The schema, put together.

use crate::mutation::{Mutation, MutationPayload};
use crate::query::Query;
use crate::subscription::Subscription;
use crate::types::Node;
use async_graphql::{Request, Response, Schema, SchemaBuilder};
use claviger_application::Ports;
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
        // Ours is the stricter bound, with a better message (limits).
        .limit_recursive_depth(64)
}

/// The schema as text, as `schema.graphql` has it.
pub fn sdl() -> String {
    plain().finish().sdl()
}

/// Puts the schema together over its ports. Limits are checked before execution by the face, not in here.
pub fn build(ports: Ports) -> ClavigerSchema {
    ClavigerSchema(plain().data(ports).finish())
}

impl ClavigerSchema {
    /// Executes an operation. Its data must hold a [`claviger_application::RequestInfo`], and a [`claviger_application::Caller`] if somebody is signed in.
    pub async fn execute(&self, request: Request) -> Response {
        self.0.execute(request).await
    }

    /// Executes a subscription: its items, or one answer without data where it can't begin. The data is that of [`Self::execute`], and a
    /// [`crate::progress::Progress`] where the face wants to know.
    pub fn subscribe(&self, request: Request) -> BoxStream<'static, Response> {
        self.0.execute_stream(request)
    }

    /// The schema as text.
    pub fn sdl(&self) -> String {
        self.0.sdl()
    }
}

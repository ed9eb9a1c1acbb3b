//! Builds the schema.

use crate::answer::AnswerBudget;
use crate::loads::Loads;
use crate::mutation::{Mutation, MutationPayload};
use crate::query::Query;
use crate::subscription::Subscription;
use crate::types::Node;
use async_graphql::{Request, Response, Schema, SchemaBuilder};
use async_graphql_parser::types::OperationType;
use claviger_application::Ports;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};
use std::future::poll_fn;

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
    /// The answer is charged to `budget` while it is made. The future lets other tasks of its
    /// thread run whenever it has worked for about a millisecond. It is boxed here, so that the
    /// resolvers are compiled in this crate and not again in each that calls it.
    pub fn execute(&self, mut request: Request, budget: &AnswerBudget) -> BoxFuture<'_, Response> {
        let is_query = only_queries(&mut request);
        let request = request.data(budget.clone()).data(Loads::new(is_query));
        let mut executing: BoxFuture<'_, Response> = Box::pin(self.0.execute(request));
        let budget = budget.clone();
        Box::pin(async move {
            let polled = poll_fn(|cx| {
                budget.refill();
                executing.as_mut().poll(cx)
            });
            let response = polled.await;
            budget.checked(response, is_query)
        })
    }

    /// Executes a subscription and returns its items, or a single response without data if it
    /// cannot begin. The request's data is that of [`Self::execute`], plus a
    /// [`crate::progress::Progress`] if the face needs to track the cursor. Each item has a budget
    /// of its own: `budget`, again and again.
    pub fn subscribe(
        &self,
        request: Request,
        budget: AnswerBudget,
    ) -> BoxStream<'static, Response> {
        let request = request.data(budget.clone()).data(Loads::new(false));
        let mut items = self.0.execute_stream(request);
        futures::stream::poll_fn(move |cx| {
            budget.refill();
            items.poll_next_unpin(cx).map(|item| {
                let item = item.map(|item| budget.checked(item, false));
                budget.restart();
                item
            })
        })
        .boxed()
    }

    /// The SDL.
    pub fn sdl(&self) -> String {
        self.0.sdl()
    }
}

/// Whether the document has no operation that changes anything or goes on.
fn only_queries(request: &mut Request) -> bool {
    request.parsed_query().is_ok_and(|document| {
        document.operations.iter().all(|(_, operation)| operation.node.ty == OperationType::Query)
    })
}

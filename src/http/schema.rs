//! The schema behind the GraphQL face: checks who asks, tells the resolvers, executes.

use super::graphql::{Executor, RequestContext};
use crate::auth::Auth;
use crate::effects::Clock;
use async_graphql::{Request, Response, ServerError};
use claviger_domain::actor::Via;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_graphql::ClavigerSchema;
use claviger_graphql::ports::RequestInfo;
use futures::future::BoxFuture;
use std::sync::Arc;

/// Most characters kept of a client's words about itself.
const USER_AGENT_MAX: usize = 200;

/// Executes operations on the schema.
#[expect(missing_debug_implementations, reason = "keys")]
pub struct SchemaExecutor {
    schema: ClavigerSchema,
    auth: Arc<Auth>,
}

impl SchemaExecutor {
    /// Puts the two together.
    pub fn new(schema: ClavigerSchema, auth: Arc<Auth>) -> Self {
        Self { schema, auth }
    }
}

impl Executor for SchemaExecutor {
    fn execute(&self, request: Request, context: RequestContext) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let info = RequestInfo {
                correlation: context.correlation_id,
                user_agent: context.user_agent.map(|agent| agent.chars().take(USER_AGENT_MAX).collect()),
                // Without a peer all share one bucket, which is the safe side.
                peer: context.peer.map_or_else(String::new, |peer| peer.ip().to_string()),
                via: Via::Graphql,
            };
            let mut request = request.data(info);
            if let Some(token) = &context.token {
                match self.auth.authenticate(token).await {
                    Ok(caller) => request = request.data(caller),
                    Err(failure) => return refused(&failure),
                }
            }
            self.schema.execute(request).await
        })
    }
}

fn refused(failure: &Failure) -> Response {
    let mut error = ServerError::new(failure.message.clone(), None);
    let mut extensions = async_graphql::ErrorExtensionValues::default();
    extensions.set("code", failure.code.as_str());
    if let FailureDetail::RetryAfterMs(ms) = failure.detail {
        extensions.set("retryAfterMs", ms);
    }
    error.extensions = Some(extensions);
    Response::from_errors(vec![error])
}

/// The time as the health face wants it.
pub fn health_clock(clock: Arc<dyn Clock>) -> super::health::Clock {
    Arc::new(move || clock.now().to_datetime())
}

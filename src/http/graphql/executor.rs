//! The executor behind the GraphQL face: authenticates the principal, fills the resolvers' context,
//! executes.

use super::{Executor, RequestContext, root};
use crate::auth::Auth;
use crate::limits::AtWork;
use crate::system::environment::Clock;
use async_graphql::{Request, Response, ServerError};
use async_graphql_parser::types::OperationType;
use claviger_application::{Principal, RequestInfo};
use claviger_domain::actor::Via;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_graphql::ClavigerSchema;
use claviger_graphql::progress::Progress;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::sync::Arc;

#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "keys")]
pub struct SchemaExecutor {
    schema: ClavigerSchema,
    auth: Arc<Auth>,
    at_work: Arc<AtWork>,
}

impl SchemaExecutor {
    /// `at_work` bounds the queries and mutations of one user, on all faces together.
    pub fn new(schema: ClavigerSchema, auth: Arc<Auth>, at_work: Arc<AtWork>) -> Self {
        Self { schema, auth, at_work }
    }

    /// Starts a subscription for a principal whose token was verified. Each message has the
    /// context's budget, or one of its own.
    pub fn subscribe(
        &self,
        request: Request,
        context: &RequestContext,
        principal: Principal,
        progress: Option<Progress>,
    ) -> BoxStream<'static, Response> {
        let request = request.data(info(context)).data(principal);
        let request = match progress {
            Some(progress) => request.data(progress),
            None => request,
        };
        self.schema.subscribe(request, context.budget.clone().unwrap_or_default())
    }
}

fn info(context: &RequestContext) -> RequestInfo {
    RequestInfo {
        correlation: context.correlation_id,
        user_agent: context.user_agent.clone(),
        peer: context.peer,
        via: Via::Graphql,
    }
}

impl Executor for SchemaExecutor {
    fn execute(&self, request: Request, context: RequestContext) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let mut request = request.data(info(&context));
            let budget = context.budget.clone().unwrap_or_default();
            let judged = match (&context.token, &context.holder) {
                (Some(token), _) => Some(self.auth.authenticate(token).await),
                (None, Some(holder)) => Some(self.auth.judged_again(holder).await),
                (None, None) => None,
            };
            if let Some(judged) = judged {
                match judged {
                    Ok(principal) => {
                        // Held until the answer is sent: it is in memory until then.
                        if let Err(failure) = budget.hold(self.at_work.begin(principal.user)).await
                        {
                            return refused(&failure);
                        }
                        request = request.data(principal);
                    }
                    // A client that sends its token with every request must be able to get the next
                    // one.
                    Err(failure)
                        if failure.code == ErrorCode::Unauthenticated
                            && only_signs_in(&mut request) => {}
                    Err(failure) => return refused(&failure),
                }
            }
            self.schema.execute(request, &budget).await
        })
    }
}

/// Fields that need no token and are requested when one has expired.
const SIGN_IN: [&str; 4] = ["login", "register", "refreshSession", "__typename"];

/// Whether the request only signs in or renews tokens.
fn only_signs_in(request: &mut Request) -> bool {
    let name = request.operation_name.clone();
    let Ok(document) = request.parsed_query() else { return false };
    document
        .operations
        .iter()
        .filter(|(known, _)| {
            name.is_none() || known.map(async_graphql::Name::as_str) == name.as_deref()
        })
        .all(|(_, operation)| {
            operation.node.ty == OperationType::Mutation
                && root::names(document, &operation.node)
                    .iter()
                    .all(|field| SIGN_IN.contains(field))
        })
}

fn refused(failure: &Failure) -> Response {
    Response::from_errors(vec![error_of(failure)])
}

/// A failure as a top-level error.
pub(super) fn error_of(failure: &Failure) -> ServerError {
    let mut error = ServerError::new(failure.message.clone(), None);
    let mut extensions = async_graphql::ErrorExtensionValues::default();
    extensions.set("code", failure.code.as_str());
    if let FailureDetail::RetryAfterMs(ms) = failure.detail {
        extensions.set("retryAfterMs", ms);
    }
    error.extensions = Some(extensions);
    error
}

/// The clock port in the form the health face uses.
pub fn health_clock(clock: Arc<dyn Clock>) -> crate::http::edge::health::Clock {
    Arc::new(move || clock.now().to_datetime())
}

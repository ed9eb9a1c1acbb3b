//! `/graphql` over plain HTTP: POST, and GET for queries.

use super::admission::Admission;
use super::context::RequestContext;
use super::negotiation::{Media, require_json};
use super::refusal::Refusal;
use super::reply::Reply;
use super::request::{Payload, from_body, from_uri};
use crate::http::edge::body::{ReadBody, read_body};
use crate::http::edge::envelope::{IdSource, RequestIds};
use crate::http::edge::problem::Problem;
use crate::http::edge::sender::{client, payer};
use crate::limits::Memory;
use crate::system::panics;
use async_graphql::{Request, Response};
use async_graphql_parser::types::OperationType;
use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::routing::any;
use claviger_domain::code::ErrorCode;
use claviger_graphql::answer::AnswerBudget;
use claviger_graphql::limits::Cost;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Runs an admitted operation: authenticates the caller, gives the schema its context, executes.
pub trait Executor: Send + Sync + 'static {
    /// Runs one operation, whose document is already parsed. A response without data whose first
    /// error has the code `UNAUTHENTICATED` becomes a 401. The future may be dropped at any await,
    /// when its deadline passes or the client disconnects.
    fn execute(&self, request: Request, context: RequestContext) -> BoxFuture<'_, Response>;
}

/// Bounds of the transport; those of documents are in [`claviger_graphql::limits::Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Most bytes of a body.
    pub max_body_bytes: usize,
    /// Most requests in one batch.
    pub max_batch: usize,
    /// Time for the body to arrive, and the same time again for all operations of the request.
    pub timeout: Duration,
    /// Most bytes of an answer; the operations of a batch share them.
    pub max_answer_bytes: usize,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            max_body_bytes: 1024 * 1024,
            max_batch: 10,
            timeout: Duration::from_secs(30),
            max_answer_bytes: 8 * 1024 * 1024,
        }
    }
}

/// The GraphQL face for plain requests.
pub struct GraphqlEndpoint<E> {
    executor: E,
    admission: Arc<Admission>,
    settings: EndpointSettings,
    ids: IdSource,
    memory: Arc<Memory>,
}

impl<E> std::fmt::Debug for GraphqlEndpoint<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphqlEndpoint").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What all operations of one HTTP request share.
struct Call {
    media: Media,
    is_get: bool,
    context: RequestContext,
    deadline: Instant,
    budget: AnswerBudget,
}

impl<E: Executor> GraphqlEndpoint<E> {
    /// `ids` makes the request ids of a batch's operations. `memory` holds the requests that arrive
    /// and are worked on.
    pub fn new(
        executor: E,
        admission: Arc<Admission>,
        settings: EndpointSettings,
        ids: IdSource,
        memory: Arc<Memory>,
    ) -> Self {
        Self { executor, admission, settings, ids, memory }
    }

    /// The face at `/graphql`. A face that serves sockets and event streams on the same path calls
    /// [`Self::respond`] for the rest.
    pub fn into_router(self) -> Router {
        let endpoint = Arc::new(self);
        Router::new().route(
            "/graphql",
            any(move |request: axum::extract::Request| {
                let endpoint = Arc::clone(&endpoint);
                async move { endpoint.respond(request).await }
            }),
        )
    }

    /// Handles one HTTP request, single or batch.
    pub async fn respond(&self, request: axum::extract::Request) -> axum::response::Response {
        let (parts, body) = request.into_parts();
        let ids = parts
            .extensions
            .get::<RequestIds>()
            .copied()
            .unwrap_or_else(|| RequestIds::new(&self.ids));
        let media = Media::accepted(&parts.headers);
        let shown = media.as_ref().copied().unwrap_or(Media::Json);
        let answered = match media {
            Ok(media) => self.answer(&parts, body, media, ids).await,
            Err(problem) => Err(problem),
        };
        answered.unwrap_or_else(|problem| Reply::problem(problem, ids.request).alone(shown))
    }

    async fn answer(
        &self,
        parts: &Parts,
        body: Body,
        media: Media,
        ids: RequestIds,
    ) -> Result<axum::response::Response, Problem> {
        let is_get = parts.method == Method::GET;
        let context = RequestContext::from_parts(parts, ids);
        // Held until the request was worked on.
        let (payload, _held) = if is_get {
            (Payload::One(Box::new(from_uri(&parts.uri)?)), None)
        } else if parts.method == Method::POST {
            require_json(&parts.headers)?;
            let mut body = self.read(parts, body).await?;
            body.parsing()?;
            let payload = from_body(body.as_slice(), self.settings.max_batch)?;
            (payload, Some(body.into_held()))
        } else {
            return Err(Problem::method_not_allowed("GET, POST"));
        };
        let budget = AnswerBudget::new(self.settings.max_answer_bytes);
        let call = Call {
            media,
            is_get,
            context: RequestContext { budget: Some(budget.clone()), ..context? },
            deadline: Instant::now() + self.settings.timeout,
            budget,
        };
        Ok(match payload {
            Payload::One(request) => {
                let spent = &mut Cost::default();
                self.run(*request, &call, ids.request, spent).await.sent(media, call.budget)
            }
            Payload::Batch(requests) => {
                Reply::together(self.run_all(requests, &call).await).sent(media, call.budget)
            }
        })
    }

    async fn read(&self, parts: &Parts, body: Body) -> Result<ReadBody, Problem> {
        let held = self.memory.hold(payer(client(parts)));
        read_body(body, self.settings.max_body_bytes, self.settings.timeout, held).await
    }

    /// One after another, so that a batch's mutations run in its order. They share the bounds of
    /// one request.
    async fn run_all(&self, requests: Vec<Result<Request, Problem>>, call: &Call) -> Vec<Reply> {
        let (mut replies, mut spent) = (Vec::with_capacity(requests.len()), Cost::default());
        for request in requests {
            let id = (self.ids)();
            replies.push(match request {
                Ok(request) => self.run(request, call, id, &mut spent).await,
                Err(problem) => Reply::problem(problem, id),
            });
            // Parsing and validation do not yield.
            tokio::task::yield_now().await;
        }
        replies
    }

    async fn run(
        &self,
        mut request: Request,
        call: &Call,
        request_id: uuid::Uuid,
        spent: &mut Cost,
    ) -> Reply {
        // The requests before it in its batch have filled the answer.
        if call.budget.is_exceeded() {
            return Reply::failed(&call.budget.refusal(), call.media, request_id);
        }
        let kind = match self.admission.admit_next(&mut request, spent) {
            Ok(OperationType::Mutation) if call.is_get => {
                return Reply::problem(mutation_over_get(), request_id);
            }
            Ok(OperationType::Subscription) => {
                let message = "send subscriptions over a WebSocket (graphql-transport-ws) or with accept: text/event-stream or multipart/mixed;subscriptionSpec=1.0";
                let refusal = Refusal::bad_request(message);
                return Reply::refused(refusal, call.media, request_id);
            }
            Ok(kind @ (OperationType::Query | OperationType::Mutation)) => kind,
            Err(refusal) => return Reply::refused(refusal, call.media, request_id),
        };
        let context = RequestContext { request_id, ..call.context.clone() };
        let execution = panics::caught(self.executor.execute(request, context));
        match tokio::time::timeout_at(call.deadline, execution).await {
            Ok(Ok(response)) => {
                let reply = Reply::executed(response, call.media, request_id);
                // Only a query can be thrown away.
                if call.budget.settle(reply.len()) || kind == OperationType::Mutation {
                    reply
                } else {
                    Reply::failed(&call.budget.refusal(), call.media, request_id)
                }
            }
            Ok(Err(panics::Panicked)) => Reply::problem(Problem::internal(), request_id),
            Err(_) => Reply::problem(
                Problem::new(ErrorCode::Timeout, "the request took too long"),
                request_id,
            ),
        }
    }
}

pub(in crate::http::graphql) fn mutation_over_get() -> Problem {
    Problem::new(ErrorCode::BadRequest, "send mutations by POST")
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
        .with_header(header::ALLOW, HeaderValue::from_static("POST"))
}

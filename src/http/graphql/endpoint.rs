//! `/graphql` over plain HTTP: POST, and GET for queries.

use super::admission::Admission;
use super::context::RequestContext;
use super::negotiation::{Media, require_json};
use super::refusal::Refusal;
use super::reply::Reply;
use super::request::{Payload, from_body, from_uri};
use crate::http::edge::body::read_body;
use crate::http::edge::envelope::{IdSource, RequestIds};
use crate::http::edge::problem::Problem;
use crate::system::panics;
use async_graphql::{Request, Response};
use async_graphql_parser::types::OperationType;
use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::routing::any;
use bytes::Bytes;
use claviger_domain::code::ErrorCode;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
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
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self { max_body_bytes: 1024 * 1024, max_batch: 10, timeout: Duration::from_secs(30) }
    }
}

/// The GraphQL face for plain requests.
pub struct GraphqlEndpoint<E> {
    executor: E,
    admission: Arc<Admission>,
    settings: EndpointSettings,
    ids: IdSource,
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
}

impl<E: Executor> GraphqlEndpoint<E> {
    /// `ids` makes the request ids of a batch's operations.
    pub fn new(
        executor: E,
        admission: Arc<Admission>,
        settings: EndpointSettings,
        ids: IdSource,
    ) -> Self {
        Self { executor, admission, settings, ids }
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
        let payload = if is_get {
            Payload::One(Box::new(from_uri(&parts.uri)?))
        } else if parts.method == Method::POST {
            require_json(&parts.headers)?;
            let bytes = self.read(body).await?;
            from_body(&bytes, self.settings.max_batch)?
        } else {
            return Err(Problem::method_not_allowed("GET, POST"));
        };
        let call = Call {
            media,
            is_get,
            context: context?,
            deadline: Instant::now() + self.settings.timeout,
        };
        Ok(match payload {
            Payload::One(request) => self.run(*request, &call, ids.request).await.alone(media),
            Payload::Batch(requests) => Reply::together(self.run_all(requests, &call).await, media),
        })
    }

    async fn read(&self, body: Body) -> Result<Bytes, Problem> {
        read_body(body, self.settings.max_body_bytes, self.settings.timeout).await
    }

    /// One after another, so that a batch's mutations run in its order.
    async fn run_all(&self, requests: Vec<Result<Request, Problem>>, call: &Call) -> Vec<Reply> {
        stream::iter(requests)
            .then(async |request| {
                let id = (self.ids)();
                match request {
                    Ok(request) => self.run(request, call, id).await,
                    Err(problem) => Reply::problem(problem, id),
                }
            })
            .collect()
            .await
    }

    async fn run(&self, mut request: Request, call: &Call, request_id: uuid::Uuid) -> Reply {
        match self.admission.admit(&mut request) {
            Ok(OperationType::Mutation) if call.is_get => {
                return Reply::problem(mutation_over_get(), request_id);
            }
            Ok(OperationType::Subscription) => {
                let message = "send subscriptions over a WebSocket (graphql-transport-ws) or with accept: text/event-stream";
                let refusal = Refusal::bad_request(message);
                return Reply::refused(refusal, call.media, request_id);
            }
            Ok(OperationType::Query | OperationType::Mutation) => {}
            Err(refusal) => return Reply::refused(refusal, call.media, request_id),
        }
        let context = RequestContext { request_id, ..call.context.clone() };
        let execution = panics::caught(self.executor.execute(request, context));
        match tokio::time::timeout_at(call.deadline, execution).await {
            Ok(Ok(response)) => Reply::executed(response, call.media, request_id),
            Ok(Err(panics::Panicked)) => Reply::problem(Problem::internal(), request_id),
            Err(_) => Reply::problem(
                Problem::new(ErrorCode::Timeout, "the request took too long"),
                request_id,
            ),
        }
    }
}

pub(in crate::http) fn mutation_over_get() -> Problem {
    Problem::new(ErrorCode::BadRequest, "send mutations by POST")
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
        .with_header(header::ALLOW, HeaderValue::from_static("POST"))
}

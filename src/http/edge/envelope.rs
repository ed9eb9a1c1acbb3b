//! The layer around every request, whichever face serves it: ids, a span, the headers of every
//! response, and panic handling.

use super::hosts::OwnHosts;
use super::origins::Origins;
use super::peer::TrustedProxies;
use super::problem::Problem;
use super::renderers::{self, Renderers};
use crate::system::metrics::Metrics;
use crate::system::panics;
use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use claviger_domain::id::CorrelationId;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

/// Source of new ids (`UUIDv7`).
pub type IdSource = Arc<dyn Fn() -> Uuid + Send + Sync>;

/// The ids of one HTTP request, kept in its extensions. The server makes them: ids that a client
/// sends under these names are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestIds {
    /// Identifies this request in the log; the client receives it as `x-request-id`.
    pub request: Uuid,
    /// Ties together the events that this request causes.
    pub correlation: CorrelationId,
}

impl RequestIds {
    pub fn new(ids: &IdSource) -> Self {
        Self { request: ids(), correlation: CorrelationId(ids()) }
    }
}

/// Which hosts, origins and proxies the server accepts, how it renders problems, and where it counts
/// responses.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    /// The names by which clients may address the server.
    pub hosts: OwnHosts,
    /// Pages of other origins that may use the server.
    pub origins: Origins,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: TrustedProxies,
    /// The format of problems, by path.
    pub renderers: Renderers,
    pub metrics: Metrics,
}

/// Wraps the merged faces: call this last. Adds the responses to unknown paths and wrong methods.
pub fn wrap(faces: Router, ids: IdSource, edge: Edge) -> Router {
    let (cors, edge) = (edge.origins.cors(), Arc::new(edge));
    faces
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&edge), refuse_foreign))
        .layer(cors)
        .layer(middleware::from_fn_with_state(Arc::clone(&edge), refuse_elsewhere))
        .layer(middleware::from_fn_with_state((ids, edge), around))
}

/// Before everything else, preflights and unknown paths included.
async fn refuse_elsewhere(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match edge.hosts.check(&parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn refuse_foreign(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match edge.origins.refuse_foreign(&parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn unknown_path() -> Problem {
    Problem::unknown_path()
}

/// The router itself adds the `allow` header.
async fn wrong_method() -> Problem {
    Problem::new(
        claviger_domain::code::ErrorCode::BadRequest,
        "this path does not support that method",
    )
    .with_status(StatusCode::METHOD_NOT_ALLOWED)
}

async fn around(
    State((source, edge)): State<(IdSource, Arc<Edge>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let ids = RequestIds::new(&source);
    request.extensions_mut().insert(ids);
    let socket =
        request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(socket)| *socket);
    let peer = socket.map(|socket| edge.trusted_proxies.peer(socket, request.headers()));
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    // The route, not the path or the query string: a client may put a secret there by mistake, and
    // it must stay out of the log.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned());
    let render = edge.renderers.of(request.uri().path());
    let (method, began_at) = (known_method(request.method()), Instant::now());
    let span = tracing::info_span!(
        "http.request",
        request_id = %ids.request,
        correlation_id = %ids.correlation,
        method,
        route,
    );
    let response = panics::caught(next.run(request))
        .instrument(span.clone())
        .await
        .unwrap_or_else(|_| Problem::internal().into_response());
    let mut response = renderers::render(response, render, ids.request);
    let status = response.status();
    edge.metrics.answered(&route, method, status.as_u16(), began_at.elapsed());
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::error!(status = status.as_u16(), "request failed");
        } else {
            tracing::debug!(status = status.as_u16(), "request answered");
        }
    });
    dress(response.headers_mut(), ids.request, peer.is_some_and(|peer| peer.is_https));
    response
}

/// A method is a token the client chooses: only the known ones are logged.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Sets the headers of every response. A face's own cache rule or content policy stays.
fn dress(headers: &mut HeaderMap, request_id: Uuid, is_https: bool) {
    if let Ok(id) = HeaderValue::from_str(&request_id.to_string()) {
        headers.insert("x-request-id", id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    // A page's own policy stays. Everything else isn't a page, and must do nothing if a browser
    // takes it for one.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ));
    headers.insert(
        "permissions-policy",
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    );
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    if is_https {
        // RFC 6797, section 7.2 allows this header over TLS only. No `includeSubDomains`: the
        // domain's other names may belong to other services.
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
}

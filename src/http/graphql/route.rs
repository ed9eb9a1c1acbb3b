//! The schema's path, shared by plain requests, sockets and event streams.

use super::executor::SchemaExecutor;
use super::sse::Format;
use super::streams::LiveFace;
use super::{GraphqlEndpoint, sse, wants_events, wants_parts, ws};
use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use std::sync::Arc;

/// Serves `/graphql`: the request's headers decide which of them answers it.
pub fn router(face: Arc<LiveFace>, endpoint: GraphqlEndpoint<SchemaExecutor>) -> Router {
    let endpoint = Arc::new(endpoint);
    Router::new().route(
        "/graphql",
        any(move |request: Request| {
            let (face, endpoint) = (Arc::clone(&face), Arc::clone(&endpoint));
            async move {
                if ws::is_upgrade(&request) {
                    ws::upgrade(&face, request)
                } else if wants_events(request.headers()) {
                    sse::answer(&face, request, Format::Events).await
                } else if wants_parts(request.headers()) {
                    sse::answer(&face, request, Format::Multipart).await
                } else {
                    endpoint.respond(request).await
                }
            }
        }),
    )
}

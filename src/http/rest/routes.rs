//! Which path leads to which endpoint.

use super::{RestFace, accounts, keys, runs, settings, start, usage};
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// The endpoints.
pub fn router(face: Arc<RestFace>) -> Router {
    Router::new()
        .route("/api/auth/register", post(accounts::register))
        .route("/api/auth/login", post(accounts::login))
        .route("/api/auth/refresh", post(accounts::refresh))
        .route("/api/auth/me", get(accounts::me))
        .route("/api/auth/logout", post(accounts::logout))
        .route("/api/anthropic-api-keys", get(keys::list).post(keys::create))
        .route(
            "/api/anthropic-api-keys/{id}",
            get(keys::show).patch(keys::change).delete(keys::delete),
        )
        .route("/api/anthropic-api-keys/{id}/test", post(keys::test))
        .route("/api/settings/available-models", get(settings::models))
        .route("/api/claude-mode", get(settings::mode))
        .route("/api/auth/usage-stats", get(usage::stats))
        .merge(orchestration())
        .with_state(face)
}

fn orchestration() -> Router<Arc<RestFace>> {
    Router::new()
        .route("/api/orchestration/sequential", post(start::sequential))
        .route("/api/orchestration/sequential/stream", post(start::sequential_stream))
        .route("/api/orchestration/debate", post(start::debate))
        .route("/api/orchestration/debate/stream", post(start::debate_stream))
        .route("/api/orchestration/hierarchical", post(start::hierarchical))
        .route("/api/orchestration/hierarchical/stream", post(start::hierarchical_stream))
        .route("/api/orchestration/parallel", post(start::parallel))
        .route("/api/orchestration/parallel/stream", post(start::parallel_stream))
        .route("/api/orchestration/routing", post(start::routing))
        .route("/api/orchestration/routing/stream", post(start::routing_stream))
        .route("/api/orchestration-designs/generate", post(start::design))
        .route("/api/orchestration/executions", get(runs::list))
        .route("/api/orchestration/executions/{id}", get(runs::show))
        .route("/api/orchestration/executions/{id}/stream", get(runs::stream))
        .route("/api/orchestration/executions/{id}/cancel", post(runs::cancel))
        .route("/api/orchestration/executions/{id}/pause", post(runs::pause))
        .route("/api/orchestration/executions/{id}/resume", post(runs::resume))
}

//! The REST facade: the wire of the earlier service, so that its clients work with nothing changed
//! but the address. `ops/docs/BEHAVIOUR.md` is its specification.
//!
//! It stands on the application layer and has no rule of its own: an endpoint reads its input,
//! gives a command or asks a read, and writes the answer in the earlier service's shape.

mod accounts;
mod call;
mod events;
mod input;
mod keys;
mod outcome;
mod patterns;
pub mod problem;
mod runs;
mod sent_texts;
mod settings;
mod start;
mod stream;
mod usage;

use self::problem::Refusal;
use super::edge::envelope::IdSource;
use crate::auth::Auth;
use crate::limits::{AtWork, Memory, StreamSlots};
use crate::live::Watch;
use crate::system::environment::Clock;
use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use claviger_application::Ports;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The prefix of every path of this face.
pub const PREFIX: &str = "/api";

type Answer = Result<Response, Refusal>;

/// Bounds of the transport.
#[derive(Clone, Copy, Debug)]
pub struct RestSettings {
    /// Time for a body to arrive.
    pub body_timeout: Duration,
    /// The interval between a stream's heartbeats.
    pub heartbeat: Duration,
}

impl Default for RestSettings {
    fn default() -> Self {
        Self { body_timeout: Duration::from_secs(30), heartbeat: Duration::from_secs(15) }
    }
}

/// What the endpoints stand on.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct RestFace {
    pub ports: Ports,
    pub auth: Arc<Auth>,
    /// Bounds the requests of one user, on all faces together.
    pub at_work: Arc<AtWork>,
    /// Holds the requests that arrive and are worked on.
    pub memory: Arc<Memory>,
    /// Verifies tokens, and watches the sessions behind streams.
    pub watch: Watch,
    /// Bounds the streams of the process and of one user, on all faces together.
    pub slots: Arc<StreamSlots>,
    /// Cancelled when the server stops: streams end, and their clients come back.
    pub stop: CancellationToken,
    pub clock: Arc<dyn Clock>,
    pub ids: IdSource,
    pub settings: RestSettings,
}

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

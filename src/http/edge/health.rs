//! `/health`: a snapshot of the server's state, for load balancers and people.

use super::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::future::BoxFuture;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The state of a service. Ordered: the worst service decides the overall status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Fully working.
    Healthy,
    /// Working, with some function missing.
    Degraded,
    /// Not working.
    Unhealthy,
}

/// The result of a probe.
#[derive(Clone, Debug, Default)]
pub struct HealthReport {
    /// The services by name; `database` at least. The response adds `api`.
    pub services: BTreeMap<&'static str, HealthStatus>,
    /// Rows that no longer advance because an event can't be applied, by view. They don't affect
    /// the status: everything else goes on.
    pub quarantined: BTreeMap<&'static str, u64>,
    /// Versions by name, such as `claviger`, `store`.
    pub version: BTreeMap<&'static str, String>,
}

/// Probes the services the server depends on.
pub trait HealthProbe: Send + Sync + 'static {
    /// Must return quickly: after five seconds the database counts as unhealthy.
    fn probe(&self) -> BoxFuture<'_, HealthReport>;
}

pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// A probe that takes longer counts as an unhealthy database.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Body {
    status: HealthStatus,
    timestamp: String,
    services: BTreeMap<&'static str, HealthStatus>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    quarantined: BTreeMap<&'static str, u64>,
    version: BTreeMap<&'static str, String>,
}

struct Health {
    probe: Arc<dyn HealthProbe>,
    clock: Clock,
}

/// `GET /health`: 200 when every service is healthy, else 503 with the same body.
pub fn router(probe: Arc<dyn HealthProbe>, clock: Clock) -> Router {
    Router::new().route("/health", get(answer)).with_state(Arc::new(Health { probe, clock }))
}

async fn answer(State(health): State<Arc<Health>>) -> Response {
    let found = tokio::time::timeout(PROBE_TIMEOUT, health.probe.probe()).await;
    let mut report = found.unwrap_or_else(|_| HealthReport {
        services: BTreeMap::from([("database", HealthStatus::Unhealthy)]),
        ..HealthReport::default()
    });
    report.services.insert("api", HealthStatus::Healthy);
    let status = report.services.values().copied().max().unwrap_or(HealthStatus::Healthy);
    let Ok(timestamp) = (health.clock)().format(&Rfc3339) else {
        return Problem::internal().into_response();
    };
    let code = if status == HealthStatus::Healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let HealthReport { services, quarantined, version } = report;
    let body = Body { status, timestamp, services, quarantined, version };
    (code, Json(body)).into_response()
}

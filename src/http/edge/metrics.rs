//! The page that a Prometheus server scrapes.

use crate::system::metrics::Metrics;
use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// `GET /metrics`. Serve it on an address of its own: it reveals how busy the server is, and has no
/// access control.
pub fn router(metrics: Metrics) -> Router {
    Router::new().route("/metrics", get(async move || page(&metrics)))
}

fn page(metrics: &Metrics) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], metrics.text()).into_response()
}

//! The page that a Prometheus server scrapes.

use crate::system::metrics::Metrics;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// `GET /metrics`. Serve it on an address of its own: it reveals how busy the server is, and has no
/// access control.
pub fn router(metrics: Metrics) -> Router {
    Router::new().route("/metrics", get(async move |headers: HeaderMap| page(&metrics, &headers)))
}

fn page(metrics: &Metrics, headers: &HeaderMap) -> Response {
    let (content_type, text) = if wants_open_metrics(headers) {
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", metrics.text())
    } else {
        ("text/plain; version=0.0.4; charset=utf-8", metrics.plain_text())
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::VARY, HeaderValue::from_static("accept")),
    ];
    (headers, text).into_response()
}

/// Whether the client prefers `OpenMetrics` to the older text format, which everything reads and
/// which it therefore gets where it says nothing.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let (mut open, mut plain) = (0.0_f32, 0.0_f32);
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for wish in values.flat_map(|value| value.split(',')) {
        let mut parts = wish.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut parameters = parts.filter_map(|parameter| parameter.split_once('='));
        let weight = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let weight = weight.map_or(Some(1.0), |(_, weight)| weight.trim().parse().ok());
        let best = match name.as_str() {
            "application/openmetrics-text" => &mut open,
            "text/plain" | "text/*" | "*/*" => &mut plain,
            _ => continue,
        };
        *best = best.max(weight.unwrap_or(0.0));
    }
    open > 0.0 && open >= plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_the_client_prefers() {
        for (accept, expected) in [
            (None, false),
            (Some("*/*"), false),
            (Some("text/plain;version=0.0.4"), false),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), false),
            (Some("application/json"), false),
            (Some("application/openmetrics-text"), true),
            (Some("Application/OpenMetrics-Text; version=1.0.0; charset=utf-8"), true),
            (Some("application/openmetrics-text;q=0"), false),
            (Some("application/openmetrics-text;q=0.3, text/plain;q=0.7"), false),
            // Prometheus 2 and 3.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                true,
            ),
            (
                Some(
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ),
                true,
            ),
        ] {
            let headers = accept
                .map(|accept| (header::ACCEPT, HeaderValue::from_static(accept)))
                .into_iter()
                .collect();
            assert_eq!(wants_open_metrics(&headers), expected, "{accept:?}");
        }
    }
}

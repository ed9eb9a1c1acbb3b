//! Which face's format an error response has, by the path of the request.

use super::problem::Problem;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use uuid::Uuid;

/// A problem in a face's own format.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub content_type: HeaderValue,
    pub body: Bytes,
}

impl Rendered {
    /// A JSON body.
    pub fn json(content_type: &'static str, json: &serde_json::Value) -> Self {
        Self { content_type: HeaderValue::from_static(content_type), body: json.to_string().into() }
    }
}

/// Renders a problem and the id of the request that caused it. The status and the headers are the
/// problem's own.
pub type Render = fn(&Problem, Uuid) -> Rendered;

/// The renderer of each face. A face registers its path prefix, and every problem below that prefix
/// has its format: unknown paths, wrong methods, foreign origins, bodies that are too large,
/// panics.
#[derive(Clone, Debug)]
pub struct Renderers {
    /// For paths below no prefix.
    default: Render,
    by_prefix: Vec<(&'static str, Render)>,
}

impl Default for Renderers {
    fn default() -> Self {
        Self::new(plain)
    }
}

impl Renderers {
    pub fn new(default: Render) -> Self {
        Self { default, by_prefix: Vec::new() }
    }

    /// Registers a face by its prefix, such as `/api`: the path itself and everything below it.
    #[must_use]
    pub fn with(mut self, prefix: &'static str, render: Render) -> Self {
        self.by_prefix.push((prefix, render));
        self
    }

    /// The renderer of the longest prefix that the path is at or below.
    pub fn of(&self, path: &str) -> Render {
        self.by_prefix
            .iter()
            .filter(|(prefix, _)| is_below(path, prefix))
            .max_by_key(|(prefix, _)| prefix.len())
            .map_or(self.default, |(_, render)| *render)
    }
}

/// `/api` contains `/api` and `/api/keys`, but not `/apiary`.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Gives a response that is a problem its body. Other responses pass through unchanged.
pub(super) fn render(response: Response, render: Render, request_id: Uuid) -> Response {
    let (mut parts, body) = response.into_parts();
    let Some(problem) = parts.extensions.remove::<Problem>() else {
        return Response::from_parts(parts, body);
    };
    let Rendered { content_type, body } = render(&problem, request_id);
    parts.headers.insert(header::CONTENT_TYPE, content_type);
    // The empty body's length, if the router has already set it.
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

/// The format where no face claims the path and none is the default.
fn plain(problem: &Problem, request_id: Uuid) -> Rendered {
    let json = serde_json::json!({
        "code": problem.code.as_str(),
        "message": problem.shown(),
        "requestId": request_id.to_string(),
    });
    Rendered::json("application/json", &json)
}

#[cfg(test)]
mod tests {
    fn held() -> crate::limits::Held {
        let settings = crate::limits::MemorySettings { in_all: 1_000, of_one: 1_000 };
        let memory = crate::limits::Memory::new(settings, crate::system::metrics::Level::default());
        memory.hold(crate::limits::Payer::Unknown)
    }

    use super::*;
    use crate::http::edge::body::read_body;
    use crate::http::edge::envelope::{Edge, IdSource, wrap};
    use axum::Router;
    use axum::http::{Request, StatusCode};
    use axum::routing::{get, post};
    use claviger_domain::code::ErrorCode;
    use std::sync::Arc;
    use std::time::Duration;
    use tower_service::Service;

    fn of_rest(problem: &Problem, request_id: Uuid) -> Rendered {
        let json = serde_json::json!({
            "type": problem.code.as_str(),
            "status": problem.status.as_u16(),
            "detail": problem.shown(),
            "fields": problem.fields,
            "request": request_id.to_string(),
        });
        Rendered::json("application/problem+json", &json)
    }

    fn served() -> Router {
        let faces = Router::new()
            .route("/api/keys", get(async || "keys"))
            .route("/api/panic", get(async || std::iter::empty::<String>().next().unwrap()))
            .route(
                "/api/upload",
                post(async |body: Body| {
                    read_body(body, 4, Duration::from_secs(5), held()).await.map(|_| "read")
                }),
            )
            .route(
                "/api/field",
                get(async || {
                    Problem::new(ErrorCode::Validation, "too long").with_fields(["input", "name"])
                }),
            )
            .route("/other", get(async || std::iter::empty::<String>().next().unwrap()));
        let ids: IdSource = Arc::new(|| Uuid::from_u128(7));
        let renderers = Renderers::default().with("/api", of_rest);
        wrap(faces, ids, Edge { renderers, ..Edge::default() })
    }

    async fn answer(
        method: &str,
        path: &str,
        body: &'static str,
    ) -> (StatusCode, String, serde_json::Value, Response<()>) {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        let request = request.body(Body::from(body)).unwrap();
        let response = served().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 4096).await.unwrap();
        let content_type = parts.headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        (parts.status, content_type, json, Response::from_parts(parts, ()))
    }

    #[tokio::test]
    async fn every_problem_below_a_prefix_has_the_format_of_its_face() {
        for (method, path, body, status, code) in [
            ("GET", "/api/nothing", "", 404, "NOT_FOUND"),
            ("GET", "/api", "", 404, "NOT_FOUND"),
            ("PUT", "/api/keys", "", 405, "BAD_REQUEST"),
            ("POST", "/api/upload", "more than four bytes", 413, "LIMIT_EXCEEDED"),
            ("GET", "/api/panic", "", 500, "INTERNAL"),
        ] {
            let (found, content_type, json, response) = answer(method, path, body).await;
            assert_eq!(
                (found.as_u16(), content_type.as_str(), &json["type"], &json["status"]),
                (status, "application/problem+json", &code.into(), &status.into()),
                "{method} {path}"
            );
            assert_eq!(json["request"], Uuid::from_u128(7).to_string());
            assert_eq!(response.headers()["x-request-id"], Uuid::from_u128(7).to_string());
            assert_eq!(status == 405, response.headers().contains_key(header::ALLOW));
        }
    }

    #[tokio::test]
    async fn a_face_receives_the_names_of_the_fields_at_fault() {
        let (status, _, json, _) = answer("GET", "/api/field", "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(json["fields"], serde_json::json!(["input", "name"]));
    }

    #[tokio::test]
    async fn problems_outside_every_prefix_have_the_default_format() {
        for (path, status, code) in [
            ("/apiary", 404, "NOT_FOUND"),
            ("/nothing", 404, "NOT_FOUND"),
            ("/other", 500, "INTERNAL"),
        ] {
            let (found, content_type, json, _) = answer("GET", path, "").await;
            assert_eq!((found.as_u16(), content_type.as_str()), (status, "application/json"));
            assert_eq!(json["code"], code, "{path}");
        }
    }

    #[tokio::test]
    async fn a_foreign_origins_refusal_has_the_format_of_the_path() {
        let request = Request::builder()
            .method("POST")
            .uri("/api/upload")
            .header(header::ORIGIN, "https://evil.example")
            .header(header::HOST, "localhost")
            .body(Body::empty())
            .unwrap();
        let response = served().call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn the_longest_prefix_at_a_segments_end_decides() {
        fn inner(_: &Problem, _: Uuid) -> Rendered {
            Rendered { content_type: HeaderValue::from_static("inner"), body: Bytes::new() }
        }
        let renderers = Renderers::default().with("/api/v2", inner).with("/api", of_rest);
        let problem = Problem::unknown_path();
        for (path, content_type) in [
            ("/api", "application/problem+json"),
            ("/api/v1", "application/problem+json"),
            ("/api/v2", "inner"),
            ("/api/v2/keys", "inner"),
            ("/api/v20", "application/problem+json"),
            ("/", "application/json"),
        ] {
            let rendered = renderers.of(path)(&problem, Uuid::nil());
            assert_eq!(rendered.content_type, content_type, "{path}");
        }
    }
}

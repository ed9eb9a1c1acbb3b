//! `/graphiql`: the GraphQL explorer, served entirely from this binary. `ops/graphiql/build` builds
//! the bundle.

use crate::http::edge::assets::{Asset, Tags, serve};
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Scripts and requests to this server only, nothing inline, never in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `build.rs` compressed it.
macro_rules! page {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz"))
    };
}

static ASSETS: [Asset; 3] = [
    Asset { path: "/graphiql", content_type: "text/html; charset=utf-8", gzip: page!("page.html") },
    Asset {
        path: "/graphiql/page.js",
        content_type: "text/javascript; charset=utf-8",
        gzip: page!("page.js"),
    },
    Asset {
        path: "/graphiql/page.css",
        content_type: "text/css; charset=utf-8",
        gzip: page!("page.css"),
    },
];

/// The page and its two assets.
pub fn router() -> Router {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let tags = Tags::of(asset);
        router
            .route(asset.path, get(async move |headers: HeaderMap| answer(asset, &tags, &headers)))
    })
}

fn answer(asset: &'static Asset, tags: &Tags, headers: &HeaderMap) -> Response {
    let policy = [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))];
    (policy, serve(asset, tags, headers)).into_response()
}

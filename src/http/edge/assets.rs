//! Files of pages: kept compressed in the program (`build.rs`), sent as they are to clients that
//! accept gzip, and decompressed for others.

use super::problem::Problem;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io::Read;

#[derive(Debug)]
pub struct Asset {
    pub path: &'static str,
    pub content_type: &'static str,
    pub gzip: &'static [u8],
}

/// The strong entity tags of an asset, one for each of its two encodings.
#[derive(Clone, Debug)]
pub struct Tags {
    gzip: HeaderValue,
    identity: HeaderValue,
}

impl Tags {
    pub fn of(asset: &Asset) -> Self {
        let mut digest = String::new();
        for byte in Sha256::digest(asset.gzip).iter().take(16) {
            // Writing to a string can't fail.
            let _ = write!(digest, "{byte:02x}");
        }
        let tag = |text: String| {
            HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"asset\""))
        };
        Self { gzip: tag(format!("\"{digest}-gzip\"")), identity: tag(format!("\"{digest}\"")) }
    }
}

/// The asset in the encoding that the client accepts, or 304 if its copy is current.
pub fn serve(asset: &'static Asset, tags: &Tags, headers: &HeaderMap) -> Response {
    let compressed = accepts_gzip(headers);
    let tag = if compressed { &tags.gzip } else { &tags.identity };
    let common = [
        (header::ETAG, tag.clone()),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
        // Cached, but revalidated each time: a new version of the server shows at once.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|known| known == tag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type))];
    if compressed {
        let encoding = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        return (common, kind, encoding, asset.gzip).into_response();
    }
    let mut bytes = Vec::new();
    match GzDecoder::new(asset.gzip).read_to_end(&mut bytes) {
        Ok(_) => (common, kind, bytes).into_response(),
        Err(_) => Problem::internal().into_response(),
    }
}

/// Whether `Accept-Encoding` allows gzip (RFC 9110, 12.5.3). Without the header the plain form is
/// sent, which every client reads.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = |wanted: &str| {
        headers
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .find_map(|item| {
                let mut parts = item.split(';').map(str::trim);
                let name = parts.next()?;
                name.eq_ignore_ascii_case(wanted).then(|| !parts.any(is_refusal))
            })
    };
    accepted("gzip").or_else(|| accepted("*")).unwrap_or(false)
}

/// A weight of zero: `q=0`, `q=0.0`, ….
fn is_refusal(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, weight)| {
        name.trim().eq_ignore_ascii_case("q")
            && weight.trim().parse::<f32>().is_ok_and(|q| q <= 0.0)
    })
}

//! Reads request bodies within bounds.

use super::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use bytes::Bytes;
use claviger_domain::code::ErrorCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// Reads the whole body, within a size limit and a deadline.
///
/// # Errors
/// 413 above the limit, 408 after the deadline, 400 for a body that breaks off.
pub async fn read_body(body: Body, limit: usize, within: Duration) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            ErrorCode::LimitExceeded,
            format!("the body is larger than the limit of {limit} bytes"),
        )
        .with_status(StatusCode::PAYLOAD_TOO_LARGE)
        // The rest of the body isn't read, so the connection can't carry another request, and the
        // client must not try.
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
    };
    // A body whose announced length is too large is refused before it is sent.
    if axum::body::HttpBody::size_hint(&body).lower() > limit as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(within, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(ErrorCode::BadRequest, "the body is incomplete")),
        Err(_) => Err(Problem::new(ErrorCode::Timeout, "the body took too long to arrive")
            .with_status(StatusCode::REQUEST_TIMEOUT)),
    }
}

//! Reads request bodies within bounds.

use super::json_size::{self, TooMany};
use super::problem::Problem;
use crate::limits::{Held, NoRoom};
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use bytes::Bytes;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::FailureDetail;
use claviger_domain::secret::WipedBytes;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroize as _;

/// Within the whole deadline, the part of it in which nothing may arrive: a client that has stopped
/// sending doesn't hold its bytes until the end.
const SILENCE: u32 = 3;

/// A body that may contain secrets, wiped when dropped, and the memory held for it.
#[expect(missing_debug_implementations, reason = "a body may contain secrets")]
pub struct ReadBody {
    text: WipedBytes,
    held: Held,
}

impl ReadBody {
    pub fn as_slice(&self) -> &[u8] {
        self.text.as_slice()
    }

    /// Holds the memory of the JSON values that the body contains, before they are made.
    ///
    /// # Errors
    /// 400 for more values than any request needs; 429 or 503 if there is no room for them.
    pub fn parsing(&mut self) -> Result<(), Problem> {
        let values = json_size::of_values(self.text.as_slice())
            .map_err(|TooMany| Problem::new(ErrorCode::LimitExceeded, TooMany.to_string()))?;
        let needed = self.text.capacity().saturating_add(values);
        self.held.at_least(needed).map_err(no_room)
    }

    /// Wipes the text. What is held stays, for what was made of it.
    pub fn into_held(self) -> Held {
        self.held
    }
}

/// Reads the whole body, within a size limit and a deadline. Memory is held as the bytes arrive,
/// never for what a client only announces.
///
/// # Errors
/// 413 above the limit, 408 after the deadline, 400 for a body that breaks off; 429 or 503 with the
/// time to wait if the client or the process holds too much.
pub async fn read_body(
    mut body: Body,
    limit: usize,
    within: Duration,
    mut held: Held,
) -> Result<ReadBody, Problem> {
    // A body whose announced length is too large is refused before it is sent.
    if axum::body::HttpBody::size_hint(&body).lower() > limit as u64 {
        return Err(too_large(limit));
    }
    // A length that isn't announced may be any.
    let announced = axum::body::HttpBody::size_hint(&body).upper();
    held.expects(announced.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(limit));
    let (deadline, mut text) = (Instant::now() + within, WipedBytes::default());
    loop {
        let next = deadline.min(Instant::now() + within / SILENCE);
        let frame = match timeout_at(next, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => {
                held.expects(0);
                return Ok(ReadBody { text, held });
            }
            Ok(Some(Err(_))) => {
                return Err(Problem::new(ErrorCode::BadRequest, "the body is incomplete"));
            }
            Err(_) => {
                let message = "the body took too long to arrive";
                let problem = Problem::new(ErrorCode::Timeout, message);
                return Err(closing(problem.with_status(StatusCode::REQUEST_TIMEOUT)));
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        if text.as_slice().len() + data.len() > limit {
            return Err(too_large(limit));
        }
        held.at_least(text.capacity_for(data.len())).map_err(no_room).map_err(closing)?;
        text.extend(&data);
        wipe(data);
    }
}

/// Wipes bytes that may contain secrets, where no other buffer shares their memory.
pub fn wipe(bytes: Bytes) {
    if let Ok(mut bytes) = bytes.try_into_mut() {
        bytes.zeroize();
    }
}

/// The refusal of a request for which there is no memory. The client may send it again.
pub fn no_room(no_room: NoRoom) -> Problem {
    let failure = NoRoom::InAll.failure();
    let FailureDetail::RetryAfterMs(ms) = failure.detail else { return Problem::internal() };
    let status = match no_room {
        NoRoom::OfOne => StatusCode::TOO_MANY_REQUESTS,
        NoRoom::InAll => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(ErrorCode::RateLimited, no_room.to_string())
        .with_status(status)
        .with_header(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)))
}

fn too_large(limit: usize) -> Problem {
    let message = format!("the body is larger than the limit of {limit} bytes");
    let problem = Problem::new(ErrorCode::LimitExceeded, message);
    closing(problem.with_status(StatusCode::PAYLOAD_TOO_LARGE))
}

/// The rest of the body isn't read, so the connection can't carry another request, and the client
/// must not try.
fn closing(problem: Problem) -> Problem {
    problem.with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

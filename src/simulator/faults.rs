//! Responses that Anthropic's API would not send.

use super::script::Fault;
use super::sse::{End, Piece, body};
use super::wire::{Caller, put};
use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, LOCATION};
use axum::http::{HeaderValue, Response};
use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;

/// The size of [`Fault::Huge`], in pieces of 64 KiB: more than any limit of ours.
const HUGE_PIECES: usize = 80 * 16;
const HUGE_PIECE: usize = 64 * 1024;

/// Number of pieces that [`Fault::Slow`] sends.
const SLOW_PIECES: usize = 10;

/// Marks a response that must not be sent: the connection is dropped instead.
#[derive(Clone)]
pub(super) struct Drop;

/// The faulty response that replaces `good`.
pub(super) async fn answer(caller: &Caller, fault: Fault, good: &Value) -> Response<Body> {
    let stop = caller.upstream.stop_token();
    let good = Bytes::from(good.to_string());
    match fault {
        Fault::Cut => {
            let half = Piece::new(Duration::ZERO, good.slice(..good.len() / 2));
            let mut response =
                caller.head(200, "application/json", body(vec![half], End::Cut, stop));
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(good.len()));
            response
        }
        Fault::Reset => dropped(),
        Fault::Hang => {
            stop.cancelled().await;
            dropped()
        }
        Fault::Redirect => {
            let mut response = caller.whole(302, "text/html", Vec::new());
            put(response.headers_mut(), LOCATION.as_str(), &caller.upstream.config().redirect_to);
            response
        }
        Fault::WrongType => caller.whole(
            200,
            "text/html; charset=utf-8",
            b"<!doctype html><title>Welcome</title>".to_vec(),
        ),
        Fault::Garbage => {
            caller.whole(200, "application/json", b"{\"data\":[{\"id\":\"claude".to_vec())
        }
        Fault::Huge => {
            let open = Piece::new(Duration::ZERO, Bytes::from_static(b"{\"data\":\""));
            let huge = Bytes::from(vec![b'x'; HUGE_PIECE]);
            let piece = || Piece::new(Duration::ZERO, huge.clone());
            let close = Piece::new(Duration::ZERO, Bytes::from_static(b"\"}"));
            let pieces = [open]
                .into_iter()
                .chain(std::iter::repeat_with(piece).take(HUGE_PIECES))
                .chain([close]);
            caller.head(200, "application/json", body(pieces.collect(), End::Proper, stop))
        }
        Fault::Slow => {
            let wait = caller.upstream.config().slow_delay;
            let size = good.len().div_ceil(SLOW_PIECES).max(1);
            let pieces = good
                .chunks(size)
                .map(|chunk| Piece::new(wait, Bytes::copy_from_slice(chunk)))
                .collect();
            caller.head(200, "application/json", body(pieces, End::Proper, stop))
        }
    }
}

fn dropped() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Drop);
    response
}

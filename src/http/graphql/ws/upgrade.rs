//! Upgrades an HTTP request to a socket.

use super::metered::{Meter, Metered};
use super::protocol::bearer_in;
use super::socket::Socket;
use super::wire::Wire;
use crate::http::edge::problem::Problem;
use crate::http::edge::sender::{client, payer};
use crate::http::graphql::RequestContext;
use crate::http::graphql::streams::LiveFace;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use claviger_domain::code::ErrorCode;
use claviger_domain::secret::SecretText;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The only subprotocol supported.
const PROTOCOL: &str = "graphql-transport-ws";

/// Whether a request asks for a WebSocket.
pub(in crate::http::graphql) fn is_upgrade(request: &Request) -> bool {
    names(request.headers(), &header::UPGRADE, "websocket")
}

/// Whether a comma-separated header contains this name.
fn names(headers: &HeaderMap, header: &HeaderName, name: &str) -> bool {
    let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(name))
}

/// Completes the handshake and leaves the socket to a task of its own.
pub(in crate::http::graphql) fn upgrade(face: &Arc<LiveFace>, mut request: Request) -> Response {
    let ids = face.ids_of(&request);
    let upgraded = hyper::upgrade::on(&mut request);
    let (mut parts, _) = request.into_parts();
    // Tokens come in messages. A header counts for a client that sends none there, and another
    // scheme than a token's is a proxy's own affair.
    let offered = parts.headers.remove(header::AUTHORIZATION);
    let offered = offered
        .and_then(|value| value.to_str().ok().map(|text| SecretText::new(text.to_owned())))
        .and_then(|text| bearer_in(&text));
    let opened = accept_key(&parts.method, &parts.headers).and_then(|key| {
        let seat = face.seats.take().map_err(|full| {
            Problem::new(ErrorCode::LimitExceeded, full.to_string())
                .with_status(StatusCode::SERVICE_UNAVAILABLE)
        })?;
        Ok((key, seat, RequestContext::from_parts(&parts, ids)?))
    });
    let (key, seat, context) = match opened {
        Ok(opened) => opened,
        Err(problem) => return problem.into_response(),
    };
    let (face, tasks) = (Arc::clone(face), face.tasks.clone());
    // Until the client has signed in, its address pays.
    let payer = payer(client(&parts));
    let serve = async move {
        let Ok(upgraded) = upgraded.await else { return };
        let settings = face.parts.settings;
        let memory = &face.parts.memory.early;
        let meter = Meter::new(settings.max_early_message_bytes, memory.hold(payer));
        let stream = Metered::new(TokioIo::new(upgraded), meter);
        let most = (settings.max_waiting_frames, settings.max_waiting_bytes);
        let wire = Wire::new(stream, memory.hold(payer), most).await;
        // In a task of its own, and boxed twice: otherwise its future would hold the socket once
        // for each function it passes through, and the state of the handshake.
        let socket = Box::new(Socket::new(Arc::clone(&face), wire, (context, offered), seat));
        face.tasks.spawn(Box::pin(socket.run()));
    };
    // Outside any span: open spans stay in memory, and thousands of sockets are idle. Each piece of
    // work opens its own.
    tasks.spawn(serve);
    switching(&key)
}

fn switching(key: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    if let Ok(key) = HeaderValue::from_str(key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    response
}

/// Checks the handshake (RFC 6455, section 4.2.1) and computes the accept key.
fn accept_key(method: &Method, headers: &HeaderMap) -> Result<String, Problem> {
    if method != Method::GET || !names(headers, &header::CONNECTION, "upgrade") {
        return Err(Problem::new(
            ErrorCode::BadRequest,
            "open a WebSocket with GET and connection: upgrade, over HTTP/1.1",
        ));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Problem::new(
            ErrorCode::BadRequest,
            "this server supports version 13 of WebSocket only",
        )
        .with_status(StatusCode::UPGRADE_REQUIRED)
        .with_header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
        .with_header(header::UPGRADE, HeaderValue::from_static("websocket")));
    }
    if !names(headers, &header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL) {
        return Err(Problem::new(
            ErrorCode::BadRequest,
            "request the subprotocol graphql-transport-ws",
        ));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key = key.ok_or_else(|| {
        Problem::new(ErrorCode::BadRequest, "sec-websocket-key must be 16 bytes in base64")
    })?;
    Ok(derive_accept_key(key.as_bytes()))
}

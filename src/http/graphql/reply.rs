//! Turns the result of an execution into an HTTP response: every error has a code, no internals
//! leak, and the status is right.

use super::negotiation::Media;
use super::refusal::Refusal;
use crate::http::edge::problem::{Problem, challenge, said_by, status_of};
use async_graphql::{Response, ServerError, Value};
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_graphql::answer::AnswerBudget;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// The response to one operation, or to a batch.
pub(in crate::http::graphql) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    json: Vec<u8>,
}

#[derive(Serialize)]
struct Content {
    /// Left out when nothing was executed; `null` when an error propagated to the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ServerError>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: BTreeMap<String, Value>,
}

impl Reply {
    /// The result of an execution.
    pub(in crate::http::graphql) fn executed(
        mut response: Response,
        media: Media,
        request_id: Uuid,
    ) -> Self {
        let before_execution = response.data == Value::Null
            && !response.errors.is_empty()
            && response.errors.iter().all(|error| error.path.is_empty());
        complete_errors(&mut response.errors, request_id);
        let mut headers = std::mem::take(&mut response.http_headers);
        let mut content = Content {
            data: Some(response.data),
            errors: response.errors,
            extensions: response.extensions,
        };
        if content.data == Some(Value::Null)
            && let Some(seconds) = retry_after_s(&content.errors)
        {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        let mut status = StatusCode::OK;
        if before_execution {
            content.data = None;
            let code = content.errors.first().and_then(code_of).unwrap_or(ErrorCode::Internal);
            status = status_under(code, media);
            if code == ErrorCode::Unauthenticated {
                headers.insert(header::WWW_AUTHENTICATE, challenge());
            }
        }
        if status.is_server_error() {
            content.extensions.clear();
            content.errors.truncate(1);
            content.errors.iter_mut().for_each(say_code_only);
        }
        Self::written(status, headers, &content)
    }

    fn written(status: StatusCode, headers: HeaderMap, content: &Content) -> Self {
        match serde_json::to_vec(content) {
            Ok(json) => Self { status, headers, json },
            Err(_) => Self { status: StatusCode::INTERNAL_SERVER_ERROR, headers, json: Vec::new() },
        }
    }

    /// The length of the response, in bytes.
    pub(super) fn len(&self) -> usize {
        self.json.len()
    }

    /// A request that failed as a whole.
    pub(super) fn failed(failure: &Failure, media: Media, request_id: Uuid) -> Self {
        let (code, message) = (failure.code, failure.message.clone());
        Self::refused(Refusal { code, message, locations: Vec::new() }, media, request_id)
    }

    /// A request that was refused before execution.
    pub(in crate::http::graphql) fn refused(
        refusal: Refusal,
        media: Media,
        request_id: Uuid,
    ) -> Self {
        Self::executed(Response::from_errors(vec![refusal.into()]), media, request_id)
    }

    /// An error outside GraphQL: the status is the problem's own and does not depend on `Accept`.
    pub(in crate::http::graphql) fn problem(problem: Problem, request_id: Uuid) -> Self {
        let mut error = ServerError::new(problem.shown(), None);
        label(&mut error, problem.code, request_id);
        let content = Content { data: None, errors: vec![error], extensions: BTreeMap::new() };
        Self::written(problem.status, problem.headers.into_iter().collect(), &content)
    }

    /// The HTTP response.
    pub(in crate::http::graphql) fn alone(self, media: Media) -> axum::response::Response {
        let Self { status, mut headers, json } = self;
        headers.insert(header::CONTENT_TYPE, media.content_type());
        let mut response = axum::response::Response::new(Body::from(json));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    /// The HTTP response. It keeps the budget, and the user's slot in it, until its bytes are sent
    /// or its connection ends.
    pub(super) fn sent(mut self, media: Media, budget: AnswerBudget) -> axum::response::Response {
        let json = std::mem::take(&mut self.json);
        let mut response = self.alone(media);
        *response.body_mut() = Body::from(Bytes::from_owner(Sending { json, _budget: budget }));
        response
    }

    /// The responses of a batch: 200, unless all have the same status.
    pub(super) fn together(replies: Vec<Self>) -> Self {
        let first = replies.first().map_or(StatusCode::OK, |first| first.status);
        let alike = replies.iter().all(|reply| reply.status == first);
        let length = replies.iter().map(|reply| reply.len() + 1).sum::<usize>();
        let mut json = Vec::with_capacity(length + 1);
        let mut headers = HeaderMap::new();
        for reply in replies {
            json.push(if json.is_empty() { b'[' } else { b',' });
            json.extend(reply.json);
            headers.extend(reply.headers);
        }
        json.push(b']');
        Self { status: if alike { first } else { StatusCode::OK }, headers, json }
    }
}

/// The bytes of a response on their way.
struct Sending {
    json: Vec<u8>,
    _budget: AnswerBudget,
}

impl AsRef<[u8]> for Sending {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

/// The status of a request that failed before execution. `application/json` keeps 200 for
/// well-formed requests. Server faults, missing authentication and rate limits show in the status
/// under both media types, because proxies and monitors act on them.
fn status_under(code: ErrorCode, media: Media) -> StatusCode {
    let status = status_of(code);
    let shows = status.is_server_error()
        || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS);
    if media == Media::Json && !shows { StatusCode::OK } else { status }
}

/// The code of an error; `None` if it isn't in the set.
pub fn code_of(error: &ServerError) -> Option<ErrorCode> {
    let Value::String(text) = error.extensions.as_ref()?.get("code")? else { return None };
    ErrorCode::ALL.iter().copied().find(|code| code.as_str() == text)
}

/// Gives every error a code of the set and the request id, and removes what the library's errors
/// reveal: values of the request, suggestions from the schema, causes. The library finds some faults
/// of a document twice, in different words before that; each is said once. Every face that sends
/// errors calls it.
pub fn complete_errors(errors: &mut Vec<ServerError>, request_id: Uuid) {
    for error in errors.iter_mut() {
        let code = code_of(error).unwrap_or_else(|| {
            error.message = without_quotes(&error.message);
            let code = library_code(error);
            // A resolver's error without a code is a fault nobody foresaw.
            if code == ErrorCode::Internal {
                tracing::error!(%request_id, "a resolver failed without a code");
            }
            code
        });
        if code == ErrorCode::Internal {
            "internal error".clone_into(&mut error.message);
        }
        label(error, code, request_id);
    }
    let mut said = HashSet::new();
    errors.retain(|error| {
        let places: Vec<_> = error.locations.iter().map(|at| (at.line, at.column)).collect();
        said.insert((error.message.clone(), places, format!("{:?}", error.path)))
    });
}

/// The delay, in seconds, before a rate-limited request may be retried. Applies to requests refused
/// as a whole.
fn retry_after_s(errors: &[ServerError]) -> Option<u64> {
    let limited = errors.iter().filter(|error| code_of(error) == Some(ErrorCode::RateLimited));
    let waits =
        limited.filter_map(|error| match error.extensions.as_ref()?.get("retryAfterMs")? {
            Value::Number(ms) => ms.as_u64(),
            Value::Null
            | Value::String(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_)
            | Value::List(_)
            | Value::Object(_) => None,
        });
    waits.max().map(|ms| ms.div_ceil(1000))
}

fn label(error: &mut ServerError, code: ErrorCode, request_id: Uuid) {
    let extensions = error.extensions.get_or_insert_default();
    extensions.set("code", code.as_str());
    extensions.set("requestId", request_id.to_string());
}

/// A 5xx carries what its code says and the request id, and nothing else.
fn say_code_only(error: &mut ServerError) {
    let (code, id) = (code_of(error).unwrap_or(ErrorCode::Internal), request_id_of(error));
    *error = ServerError::new(said_by(code), None);
    let extensions = error.extensions.get_or_insert_default();
    extensions.set("code", code.as_str());
    extensions.set("requestId", id);
}

fn request_id_of(error: &ServerError) -> Value {
    error
        .extensions
        .as_ref()
        .and_then(|extensions| extensions.get("requestId"))
        .cloned()
        .unwrap_or_default()
}

/// Errors without a path are from parsing or validation. With a path, an invalid argument is the
/// client's fault; everything else is the server's.
fn library_code(error: &ServerError) -> ErrorCode {
    let of_input =
        ["Failed to parse \"", "Expected input type \"", "Invalid value for argument", "Variable "];
    let clients =
        error.path.is_empty() || of_input.iter().any(|start| error.message.starts_with(start));
    if clients { ErrorCode::BadRequest } else { ErrorCode::Internal }
}

/// The library's message, cut before it quotes the request or suggests names from the schema.
fn without_quotes(message: &str) -> String {
    let ends = [", found ", " Did you mean", " does not contain the value"];
    let cut = ends
        .iter()
        .fold(message, |text, end| text.split_once(end).map_or(text, |(before, _)| before));
    if cut.len() == message.len() {
        message.to_owned()
    } else {
        format!("{}.", cut.trim_end_matches(['.', ',']))
    }
}

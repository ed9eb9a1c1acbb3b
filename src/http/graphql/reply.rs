//! From what execution gave to an answer: every error coded, nothing of ours told, the right status.

use super::admission::Refusal;
use super::negotiation::Media;
use crate::http::problem::{Problem, challenge, status_of};
use async_graphql::{Response, ServerError, Value};
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use claviger_domain::code::ErrorCode;
use serde::Serialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The answer to one operation.
pub(in crate::http) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

#[derive(Serialize)]
struct Content {
    /// Left out when nothing was executed; `null` when a fault went all the way up.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ServerError>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: BTreeMap<String, Value>,
}

impl Reply {
    /// What the executor answered.
    pub(in crate::http) fn executed(
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
        Self { status, headers, content }
    }

    /// A request that was refused before execution.
    pub(in crate::http) fn refused(refusal: Refusal, media: Media, request_id: Uuid) -> Self {
        Self::executed(Response::from_errors(vec![refusal.into()]), media, request_id)
    }

    /// What is wrong is not GraphQL's to say: the status is the problem's own, whatever the client accepts.
    pub(in crate::http) fn problem(problem: Problem, request_id: Uuid) -> Self {
        let mut error = ServerError::new(problem.shown(), None);
        label(&mut error, problem.code, request_id);
        let content = Content { data: None, errors: vec![error], extensions: BTreeMap::new() };
        Self { status: problem.status, headers: problem.headers.into_iter().collect(), content }
    }

    /// The answer of a request that came alone.
    pub(in crate::http) fn alone(self, media: Media) -> axum::response::Response {
        written(self.status, self.headers, media, &self.content)
    }

    /// The answers of a batch: 200, unless all of them failed alike.
    pub(in crate::http) fn together(replies: Vec<Self>, media: Media) -> axum::response::Response {
        let status = replies.first().map_or(StatusCode::OK, |first| first.status);
        let alike = replies.iter().all(|reply| reply.status == status);
        let mut headers = HeaderMap::new();
        let mut contents = Vec::with_capacity(replies.len());
        for reply in replies {
            headers.extend(reply.headers);
            contents.push(reply.content);
        }
        written(if alike { status } else { StatusCode::OK }, headers, media, &contents)
    }
}

fn written<T: Serialize>(
    status: StatusCode,
    mut headers: HeaderMap,
    media: Media,
    content: &T,
) -> axum::response::Response {
    let (status, bytes) = match serde_json::to_vec(content) {
        Ok(bytes) => (status, bytes),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
    };
    headers.insert(header::CONTENT_TYPE, media.content_type());
    let mut response = axum::response::Response::new(Body::from(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The status of a request that failed before execution. `application/json` keeps 200 for what was understood and refused;
/// faults of ours, missing authentication and rate limits show everywhere, because proxies and monitors act on them.
fn status_under(code: ErrorCode, media: Media) -> StatusCode {
    let status = status_of(code);
    let shows = status.is_server_error()
        || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS);
    if media == Media::Json && !shows { StatusCode::OK } else { status }
}

/// The code of an error, if it is one of the set.
pub fn code_of(error: &ServerError) -> Option<ErrorCode> {
    let Value::String(text) = error.extensions.as_ref()?.get("code")? else { return None };
    ErrorCode::ALL.iter().copied().find(|code| code.as_str() == text)
}

/// Gives every error a code of the set and the request id, and takes out what errors of the library tell too much: values of the
/// request, suggestions from the schema, causes. For every face that sends errors.
pub fn complete_errors(errors: &mut [ServerError], request_id: Uuid) {
    for error in errors {
        let code = code_of(error).unwrap_or_else(|| {
            error.message = without_quotes(&error.message);
            let code = library_code(error);
            // An error without a code from within a resolver is one that nobody thought of.
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
}

/// When to come back with a request that was refused whole because it came too often, in seconds.
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

/// A 5xx tells its code and the request id and nothing else.
fn say_code_only(error: &mut ServerError) {
    let (code, id) = (code_of(error).unwrap_or(ErrorCode::Internal), request_id_of(error));
    *error = ServerError::new(code.as_str(), None);
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

/// Without a path it is parsing or validation. With one, values that a resolver's arguments couldn't be made of are the client's
/// fault, and the rest is ours.
fn library_code(error: &ServerError) -> ErrorCode {
    let of_input =
        ["Failed to parse \"", "Expected input type \"", "Invalid value for argument", "Variable "];
    let clients =
        error.path.is_empty() || of_input.iter().any(|start| error.message.starts_with(start));
    if clients { ErrorCode::BadRequest } else { ErrorCode::Internal }
}

/// The library's message up to where it quotes the request or advises on the schema.
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

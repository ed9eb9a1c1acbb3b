//! Errors of this face: `{"detail": …}` for every status, as `FastAPI` writes them.

use crate::http::edge::problem::{Problem, challenge};
use crate::http::edge::renderers::Rendered;
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use serde_json::{Value, json};
use uuid::Uuid;

/// A fault of the server says only its code and the request's id, by which the log has the rest.
pub fn render(problem: &Problem, request_id: Uuid) -> Rendered {
    let detail = if problem.status.is_server_error() {
        format!("{} (request {request_id})", problem.shown())
    } else {
        problem.shown().to_owned()
    };
    Rendered::json("application/json", &json!({ "detail": detail }))
}

/// A field of the body that cannot be used. The words are those of pydantic, which the clients of
/// the earlier service know.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) kind: &'static str,
    /// `body`, then names and places.
    pub(super) loc: Vec<Value>,
    pub(super) msg: String,
    /// What was found there; what may be a secret is replaced.
    pub(super) input: Value,
}

/// Why a request has no result.
#[derive(Debug)]
pub(super) enum Refusal {
    Problem(Problem),
    /// 422: the body has another shape.
    Invalid(Vec<Fault>),
    /// A sentence with a status of its own, also for a fault of somebody else's.
    Said(StatusCode, Value),
}

impl Refusal {
    pub(super) fn said(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self::Said(status, json!({ "detail": sentence.into() }))
    }

    pub(super) fn not_found(what: &str) -> Self {
        Failure::not_found(what).into()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let Failure { code, message, detail, .. } = failure;
        let problem = if code == ErrorCode::Unauthenticated {
            Problem::new(code, message).with_header(header::WWW_AUTHENTICATE, challenge())
        } else {
            Problem::new(code, message)
        };
        Self::Problem(match detail {
            FailureDetail::RetryAfterMs(ms) => {
                let seconds = HeaderValue::from(ms.div_ceil(1_000));
                problem
                    .with_header(HeaderName::from_static("ratelimit"), limited(ms))
                    .with_header(header::RETRY_AFTER, seconds)
            }
            FailureDetail::None
            | FailureDetail::Versions { .. }
            | FailureDetail::Existing(_)
            | FailureDetail::Credentials
            | FailureDetail::Resolution(_) => problem,
        })
    }
}

/// Nothing is left until then.
fn limited(ms: u64) -> HeaderValue {
    let text = format!("\"commands\";r=0;t={}", ms.div_ceil(1_000));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"commands\";r=0"))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Said(status, body) => (status, Json(body)).into_response(),
            Self::Invalid(faults) => {
                let detail: Vec<Value> = faults
                    .into_iter()
                    .map(|Fault { kind, loc, msg, input }| {
                        json!({ "type": kind, "loc": loc, "msg": msg, "input": input })
                    })
                    .collect();
                let body = Json(json!({ "detail": detail }));
                (StatusCode::UNPROCESSABLE_ENTITY, body).into_response()
            }
        }
    }
}

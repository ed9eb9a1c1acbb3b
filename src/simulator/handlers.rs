//! From a request to its response: the key, the validation, and the act that the script or the key
//! chooses.

use super::counts::{Endpoint, Visit, prompt_hash};
use super::faults;
use super::keys::Scenario;
use super::messages::Ask;
use super::models;
use super::plan::{Situation, act, unknown_model};
use super::script::{Act, Raw, Refusal, Reply};
use super::sse;
use super::upstream::Upstream;
use super::wire::{Caller, put};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response};
use axum::response::Json;
use axum::routing::{get, post};
use http_body_util::BodyExt;
use serde_json::Value;

/// The API's own limit of a request body, in bytes.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// The API versions that exist.
const VERSIONS: [&str; 2] = ["2023-06-01", "2026-10-21"];

pub(super) fn router(upstream: Upstream) -> Router {
    Router::new()
        .route("/v1/models", get(list_models))
        .route("/v1/models/{id}", get(one_model))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/sim/calls", get(calls))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .with_state(upstream)
}

async fn calls(State(upstream): State<Upstream>) -> Json<Value> {
    Json(upstream.counts().to_json())
}

async fn list_models(
    State(upstream): State<Upstream>,
    Query(query): Query<Vec<(String, String)>>,
    request: Request,
) -> Response<Body> {
    serve(upstream, Asked::Models(query), request).await
}

async fn one_model(
    State(upstream): State<Upstream>,
    Path(id): Path<String>,
    request: Request,
) -> Response<Body> {
    serve(upstream, Asked::Model(id), request).await
}

async fn messages(State(upstream): State<Upstream>, request: Request) -> Response<Body> {
    serve(upstream, Asked::Messages, request).await
}

async fn count_tokens(State(upstream): State<Upstream>, request: Request) -> Response<Body> {
    serve(upstream, Asked::CountTokens, request).await
}

async fn unknown_path(State(upstream): State<Upstream>, request: Request) -> Response<Body> {
    serve(upstream, Asked::Nothing(Refusal::new(404, "not_found_error", "Not Found")), request)
        .await
}

async fn unknown_method(State(upstream): State<Upstream>, request: Request) -> Response<Body> {
    serve(
        upstream,
        Asked::Nothing(Refusal::new(405, "invalid_request_error", "Method Not Allowed")),
        request,
    )
    .await
}

/// The requested operation, before any of it is validated.
enum Asked {
    Models(Vec<(String, String)>),
    Model(String),
    CountTokens,
    Messages,
    Nothing(Refusal),
}

impl Asked {
    fn endpoint(&self) -> Endpoint {
        match self {
            Self::Models(_) => Endpoint::Models,
            Self::Model(_) => Endpoint::Model,
            Self::CountTokens => Endpoint::CountTokens,
            Self::Messages => Endpoint::Messages,
            Self::Nothing(_) => Endpoint::Other,
        }
    }
}

/// A successful response that the act may still replace.
enum Good {
    Json { model: String, body: Value },
    Message(Ask),
}

impl Good {
    /// The named model; empty if there is none.
    fn model(&self) -> &str {
        match self {
            Self::Json { model, .. } => model,
            Self::Message(ask) => &ask.model,
        }
    }

    /// The prompt for the model; empty if there is none.
    fn prompt(&self) -> &str {
        match self {
            Self::Json { .. } => "",
            Self::Message(ask) => &ask.prompt,
        }
    }
}

async fn serve(upstream: Upstream, asked: Asked, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let endpoint = asked.endpoint();
    let key = key_of(&parts.headers);
    let request_id = upstream.next_id("req");
    let visit = upstream.counts().enter(&key, endpoint, &request_id);
    let caller = Caller { now: upstream.now(), upstream, key, request_id };
    let response = match checked(&caller, asked, &parts, body, &visit).await {
        Ok(good) => perform(&caller, endpoint, good).await,
        Err(refusal) => caller.refuse(&refusal),
    };
    visit.note(|call| call.status = Some(response.status().as_u16()));
    // The visit lasts as long as the body: until the last byte is sent or the client leaves.
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &visit;
            frame
        }))
    })
}

/// The key, from `x-api-key`, else from a bearer token, as Anthropic's own client library sends it
/// (npm, 1.13.0).
fn key_of(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = || text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    text("x-api-key").or_else(bearer).unwrap_or_default().to_owned()
}

/// Validates the call in the API's order: key, version, path, content type, size, request, model.
async fn checked(
    caller: &Caller,
    asked: Asked,
    parts: &Parts,
    body: Body,
    visit: &Visit,
) -> Result<Good, Refusal> {
    let unauthorised = |message| Err(Refusal::new(401, "authentication_error", message));
    if caller.key.is_empty() {
        return unauthorised("x-api-key header is required");
    }
    if Scenario::of_key(&caller.key).is_none() {
        return unauthorised("invalid x-api-key");
    }
    version(&parts.headers)?;
    let endpoint = asked.endpoint();
    match asked {
        Asked::Nothing(refusal) => Err(refusal),
        Asked::Models(query) => {
            models::page(&query).map(|body| Good::Json { model: String::new(), body })
        }
        Asked::Model(id) => {
            let body = models::one(&id).ok_or_else(|| unknown_model(&id))?;
            Ok(Good::Json { model: id, body })
        }
        Asked::CountTokens | Asked::Messages => {
            let (ask, sent) = read(parts, body, endpoint).await?;
            if caller.upstream.config().record_bodies {
                visit.note(|call| call.body = Some(sent));
            }
            visit.note(|call| call.prompt_hash = prompt_hash(&ask.prompt));
            if models::one(&ask.model).is_none() {
                return Err(unknown_model(&ask.model));
            }
            if endpoint == Endpoint::Messages {
                return Ok(Good::Message(ask));
            }
            Ok(Good::Json { body: ask.token_count(), model: ask.model })
        }
    }
}

fn version(headers: &HeaderMap) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(400, "invalid_request_error", message));
    match headers.get("anthropic-version").map(|version| version.to_str().unwrap_or_default()) {
        None => invalid("anthropic-version: header is required"),
        Some(version) if VERSIONS.contains(&version) => Ok(()),
        Some(_) => invalid("anthropic-version: not a valid version"),
    }
}

async fn read(parts: &Parts, body: Body, endpoint: Endpoint) -> Result<(Ask, Value), Refusal> {
    let content_type =
        parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.trim_start().to_ascii_lowercase().starts_with("application/json") {
        return Err(Refusal::new(
            400,
            "invalid_request_error",
            "content-type: must be application/json",
        ));
    }
    let too_large = |_| Refusal::new(413, "request_too_large", "Request exceeds the maximum size");
    let body = to_bytes(body, MAX_BODY).await.map_err(too_large)?;
    Ask::read(&body, endpoint)
}

/// Performs the scripted act, else the act of the key's scenario.
async fn perform(caller: &Caller, endpoint: Endpoint, good: Good) -> Response<Body> {
    let scripted = caller.upstream.script().take(&caller.key, good.prompt());
    let situation = Situation {
        endpoint,
        key: &caller.key,
        model: good.model(),
        now: caller.now,
        retry_after_s: caller.upstream.config().retry_after_s,
        first: caller.upstream.counts().of(&caller.key, endpoint) <= 1,
    };
    let what = scripted
        .unwrap_or_else(|| Act::Scenario(Scenario::of_key(&caller.key).unwrap_or(Scenario::Good)));
    let what = if let Act::Scenario(scenario) = what { act(scenario, &situation) } else { what };
    match what {
        Act::Reply(reply) => say(caller, &reply, good).await,
        Act::Refuse(refusal) => caller.refuse(&refusal),
        Act::Raw(raw) => verbatim(caller, raw),
        Act::Fault(fault) => faults::answer(caller, fault, &as_json(caller, &good)).await,
        // `act` never returns a scenario; if it did, there would be nothing to reply.
        Act::Scenario(_) => caller.refuse(&Refusal::new(500, "api_error", "Internal server error")),
    }
}

fn as_json(caller: &Caller, good: &Good) -> Value {
    match good {
        Good::Json { body, .. } => body.clone(),
        Good::Message(ask) => {
            ask.answer(&Reply::default(), caller.upstream.next_id("msg")).to_json()
        }
    }
}

async fn say(caller: &Caller, reply: &Reply, good: Good) -> Response<Body> {
    let stop = caller.upstream.stop_token();
    // The delay only makes the simulation realistic: a stopping simulator skips it.
    let _ = stop.run_until_cancelled(tokio::time::sleep(reply.before)).await;
    let ask = match good {
        Good::Json { body, .. } => return caller.json(200, &body),
        Good::Message(ask) => ask,
    };
    let said = ask.answer(reply, caller.upstream.next_id("msg"));
    let mut response = if ask.stream {
        let (pieces, end) = sse::pieces(&said, reply, caller.upstream.config());
        caller.head(200, "text/event-stream; charset=utf-8", sse::body(pieces, end, stop))
    } else {
        caller.json(200, &said.to_json())
    };
    caller.limits(response.headers_mut(), false);
    response
}

fn verbatim(caller: &Caller, raw: Raw) -> Response<Body> {
    let mut response = caller.whole(raw.status, "application/json", raw.body);
    for (name, value) in &raw.headers {
        put(response.headers_mut(), name, value);
    }
    response
}

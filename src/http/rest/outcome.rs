//! How a request for a whole run ends: its result, or why there is none.

use super::events::{duration_ms, why_none};
use super::problem::Refusal;
use super::{Answer, RestFace};
use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use claviger_application::ids::{self, IdKind};
use claviger_domain::code::ErrorCode;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::{PauseReason, Phase, RunEvent};
use claviger_domain::pattern;
use claviger_projections::run_feed::{Body, RunView};
use futures::StreamExt as _;
use serde_json::{Value, json};

/// Why a run is paused, in words that say how to go on.
const fn why_paused(reason: PauseReason) -> &'static str {
    match reason {
        PauseReason::Requested => "the orchestration was paused: resume it to go on",
        PauseReason::SpendLimit => {
            "the orchestration is paused because a spending limit of the key was reached: raise \
             it, or make another key the default, then resume"
        }
        PauseReason::KeyUnavailable => {
            "the orchestration is paused because its key cannot be used any more: make another \
             key the default, then resume"
        }
        PauseReason::Interrupted => {
            "the orchestration is paused because the server stopped again and again during one \
             of its calls: resume it to try again"
        }
    }
}

/// 409 for what the caller can change, 503 where the cause is not theirs.
const fn status_of_pause(reason: PauseReason) -> StatusCode {
    match reason {
        PauseReason::Requested | PauseReason::SpendLimit | PauseReason::KeyUnavailable => {
            StatusCode::CONFLICT
        }
        PauseReason::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn execution(run: RunId) -> String {
    ids::encode(IdKind::Orchestration, run.0)
}

/// The last event of a stream whose run is paused.
pub(super) fn paused_event(run: RunId, reason: PauseReason) -> Value {
    json!({ "type": "error", "error": why_paused(reason), "execution_id": execution(run) })
}

fn paused(run: RunId, reason: PauseReason) -> Refusal {
    let body = json!({ "detail": why_paused(reason), "execution_id": execution(run) });
    Refusal::Said(status_of_pause(reason), body)
}

/// 502 where Anthropic is the cause, else the status of the code.
const fn status_of_failure(code: ErrorCode) -> u16 {
    match code.http_status() {
        status @ (400 | 409) => status,
        _ => 502,
    }
}

fn failed(run: RunId, view: &RunView) -> Refusal {
    let status = match (view.run.phase, &view.run.failure) {
        (Phase::Cancelled, _) | (_, None) => StatusCode::CONFLICT,
        (_, Some(failure)) => {
            StatusCode::from_u16(status_of_failure(failure.code)).unwrap_or(StatusCode::BAD_GATEWAY)
        }
    };
    let sentence = why_none(view).remove("error").unwrap_or_default();
    Refusal::Said(status, json!({ "detail": sentence, "execution_id": execution(run) }))
}

impl RestFace {
    /// Waits for the end of a run and answers with its result.
    ///
    /// # Errors
    /// 409, 400 or 502 for a run without a result, 409 or 503 for one that pauses; 503 where the
    /// server stops first. The run goes on, or can be resumed.
    pub(super) async fn whole(&self, owner: UserId, run: RunId) -> Answer {
        let messages = self.ports.run_feeds.follow(owner, run, None).await?;
        let mut messages = messages.ok_or_else(|| Refusal::not_found("orchestration"))?.messages;
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = self.stop.cancelled() => None,
            };
            let Some(message) = message else { return Err(stopped(run)) };
            match message?.body {
                Body::Terminal(view) => return finished(run, &view),
                Body::Snapshot { view, .. } => match view.run.phase {
                    Phase::Paused(reason) => return Err(paused(run, reason)),
                    phase if phase.is_final() => return finished(run, &view),
                    _ => {}
                },
                Body::Event { event, .. } => match &event.event {
                    RunEvent::RunPaused(facts) => return Err(paused(run, facts.reason)),
                    RunEvent::RunHalted(_) => return Err(paused(run, PauseReason::Interrupted)),
                    _ => {}
                },
                Body::Delta(_) | Body::AttemptSuperseded { .. } | Body::Gap(_) => {}
            }
        }
    }
}

fn stopped(run: RunId) -> Refusal {
    let detail = "the server stops: the orchestration goes on afterwards, ask for it by its id";
    let body = json!({ "detail": detail, "execution_id": execution(run) });
    Refusal::Said(StatusCode::SERVICE_UNAVAILABLE, body)
}

fn finished(run: RunId, view: &RunView) -> Answer {
    let Some(result) = pattern::result(&view.run) else { return Err(failed(run, view)) };
    Ok(Json(json!({
        "pattern": result["pattern"],
        "execution_id": execution(run),
        "status": "completed",
        "result": result,
        "duration_ms": duration_ms(view),
        "created_at": view.created_at.to_string(),
    }))
    .into_response())
}

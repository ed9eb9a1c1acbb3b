//! How a request for a whole run ends: its result, or why there is none.

use super::call::execution;
use super::events::{duration_ms, set, why_none};
use super::problem::Refusal;
use super::{Answer, RestFace};
use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::{PauseReason, Phase, RunEvent};
use claviger_domain::pattern;
use claviger_projections::run_feed::{Body, RunView, on_resume};
use futures::StreamExt as _;
use serde_json::{Value, json};

/// Why a run is paused. What helps follows it.
const fn why_paused(reason: PauseReason) -> &'static str {
    match reason {
        PauseReason::Requested => "the orchestration was paused",
        PauseReason::SpendLimit => {
            "the orchestration is paused: a spending limit of the key was reached"
        }
        PauseReason::KeyUnavailable => {
            "the orchestration is paused: its key cannot be used any more"
        }
        PauseReason::KeyRefused => "the orchestration is paused: Anthropic refuses its key",
        PauseReason::OrganizationDisabled => {
            "the orchestration is paused: Anthropic has disabled the key's organisation"
        }
        PauseReason::Credit => {
            "the orchestration is paused: the key's organisation has no credit left"
        }
        PauseReason::RateLimit => {
            "the orchestration is paused: a rate limit of the key did not end in time"
        }
        PauseReason::Overloaded => "the orchestration is paused: Anthropic is overloaded",
        PauseReason::UpstreamFault => {
            "the orchestration is paused: Anthropic failed, or the way there"
        }
        PauseReason::Interrupted => {
            "the orchestration is paused: the server stopped again and again during one of its \
             calls"
        }
    }
}

/// 409 for what the caller can change, 503 where the cause is not theirs.
const fn status_of_pause(reason: PauseReason) -> StatusCode {
    match reason {
        PauseReason::Requested
        | PauseReason::SpendLimit
        | PauseReason::KeyUnavailable
        | PauseReason::KeyRefused
        | PauseReason::OrganizationDisabled
        | PauseReason::Credit => StatusCode::CONFLICT,
        PauseReason::RateLimit
        | PauseReason::Overloaded
        | PauseReason::UpstreamFault
        | PauseReason::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A pause, under the name that the sentence has where it is shown.
fn pause_body(run: RunId, name: &str, reason: PauseReason) -> Value {
    let sentence = format!("{}; {}", why_paused(reason), on_resume(reason));
    json!({ name: sentence, "reason": reason.as_str(), "execution_id": execution(run) })
}

/// The last event of a stream whose run is paused.
pub(super) fn paused_event(run: RunId, reason: PauseReason) -> Value {
    let mut event = pause_body(run, "error", reason);
    set(&mut event, "type", json!("error"));
    event
}

fn paused(run: RunId, reason: PauseReason) -> Refusal {
    Refusal::Said(status_of_pause(reason), pause_body(run, "detail", reason))
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

/// Whether a run stands still after an event until it is resumed.
const fn is_pause(event: &RunEvent) -> bool {
    matches!(event, RunEvent::RunPaused(_) | RunEvent::RunHalted(_) | RunEvent::RunStalled(_))
}

impl RestFace {
    /// Why a run is paused now; `None` if it is not.
    pub(super) async fn pause_of(
        &self,
        owner: UserId,
        run: RunId,
    ) -> Result<Option<PauseReason>, Failure> {
        let detail = self.ports.run_reads.run(owner, run).await?;
        Ok(match detail.map(|detail| detail.view.run.phase) {
            Some(Phase::Paused(reason)) => Some(reason),
            Some(_) | None => None,
        })
    }

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
                    Phase::None
                    | Phase::Queued
                    | Phase::Running
                    | Phase::Completed
                    | Phase::Failed
                    | Phase::Cancelled => {}
                },
                Body::Event { event, .. } if is_pause(&event.event) => {
                    // It may have been resumed since: only its state says whether it is paused.
                    if let Some(reason) = self.pause_of(owner, run).await? {
                        return Err(paused(run, reason));
                    }
                }
                Body::Event { .. }
                | Body::Delta(_)
                | Body::AttemptSuperseded { .. }
                | Body::Gap(_) => {}
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
        "pattern": result.get("pattern"),
        "execution_id": execution(run),
        "status": "completed",
        "result": result,
        "duration_ms": duration_ms(view),
        "created_at": view.created_at.to_string(),
    }))
    .into_response())
}

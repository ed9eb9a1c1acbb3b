//! `/api/orchestration/executions`: the caller's runs.

use super::call::{Call, etag, execution, id_of, token_of};
use super::events::{Translator, duration_ms, why_none};
use super::problem::Refusal;
use super::stream::Place;
use super::{Answer, RestFace};
use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::header;
use axum::response::IntoResponse as _;
use claviger_application::ids::IdKind;
use claviger_application::{RunCommand, RunDetail, RunFilter, cursor};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::{ControlRequest, Pattern, Phase, RunEvent};
use claviger_domain::pattern;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::Page;
use claviger_projections::run_feed::{Body, RunView, Wait};
use claviger_projections::runs::{RunState, RunSummary};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::timeout;

const LIMIT: (usize, usize) = (20, 100);
const STATES: [RunState; 6] = [
    RunState::Queued,
    RunState::Running,
    RunState::Paused,
    RunState::Completed,
    RunState::Failed,
    RunState::Cancelled,
];

const fn word(state: RunState) -> &'static str {
    match state {
        RunState::Queued => "queued",
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Completed => "completed",
        RunState::Failed => "failed",
        RunState::Cancelled => "cancelled",
    }
}

const fn state_of(phase: Phase) -> RunState {
    match phase {
        Phase::None | Phase::Queued => RunState::Queued,
        Phase::Running => RunState::Running,
        Phase::Paused(_) => RunState::Paused,
        Phase::Completed => RunState::Completed,
        Phase::Failed => RunState::Failed,
        Phase::Cancelled => RunState::Cancelled,
    }
}

fn at(time: Option<Timestamp>) -> Option<String> {
    time.map(|at| at.to_string())
}

/// Why nothing happens in a run that has not ended.
fn waiting(view: &RunView) -> Option<Value> {
    let Wait { since, until, reason, message } = Wait::of_run(view)?;
    Some(json!({
        "reason": reason.as_str(),
        "since": since.to_string(),
        "until": at(until),
        "message": message,
    }))
}

fn summary(run: &RunSummary, waiting: Option<&Value>) -> Value {
    let facts = &run.facts;
    let ms = facts.finished_at.map(|end| end.ms_since(facts.created_at));
    json!({
        "execution_id": execution(run.id),
        "pattern": facts.pattern.as_str(),
        "status": word(facts.state),
        "title": run.content.as_ref().and_then(|content| content.title.clone()),
        "created_at": facts.created_at.to_string(),
        "started_at": at(facts.started_at),
        "finished_at": at(facts.finished_at),
        "duration_ms": ms,
        "waiting": waiting,
    })
}

fn detail(run: &RunDetail) -> Value {
    let view = &run.view;
    let state = state_of(view.run.phase);
    let agents = view.run.definition.as_ref().map(|definition| {
        definition.agents.iter().map(|agent| agent.name.clone()).collect::<Vec<_>>()
    });
    let has_failed = matches!(state, RunState::Failed | RunState::Cancelled);
    let error = has_failed.then(|| why_none(view).remove("error")).flatten();
    let ms = view.finished_at.map(|_| duration_ms(view));
    json!({
        "execution_id": execution(run.id),
        "pattern": view.run.settings.as_ref().map(|settings| settings.pattern.as_str()),
        "status": word(state),
        "title": view.run.title,
        "created_at": view.created_at.to_string(),
        "started_at": at(view.started_at),
        "finished_at": at(view.finished_at),
        "duration_ms": ms,
        "waiting": waiting(view),
        "result": pattern::result(&view.run),
        "error": error,
        "agents": agents,
    })
}

#[derive(Deserialize)]
pub(super) struct Listing {
    state: Option<String>,
    pattern: Option<String>,
    limit: Option<usize>,
    before: Option<String>,
}

fn filter(listing: &Listing) -> Result<RunFilter, Refusal> {
    let unknown = |what: &str, known: &[&str]| {
        let message = format!("{what} must be one of {}", known.join(", "));
        Refusal::from(Failure::new(ErrorCode::Validation, message))
    };
    let mut filter = RunFilter::default();
    if let Some(text) = &listing.state {
        let found = STATES.into_iter().find(|state| word(*state) == text);
        filter.states.push(found.ok_or_else(|| unknown("state", &STATES.map(word)))?);
    }
    if let Some(text) = &listing.pattern {
        let text = if text == "routing" { Pattern::Routing.as_str() } else { text };
        let found = Pattern::ALL.iter().find(|pattern| pattern.as_str() == text);
        let names: Vec<_> = Pattern::ALL.iter().map(|pattern| pattern.as_str()).collect();
        filter.patterns.push(*found.ok_or_else(|| unknown("pattern", &names))?);
    }
    Ok(filter)
}

impl RestFace {
    async fn run(&self, owner: UserId, id: &str) -> Result<RunDetail, Refusal> {
        let run = RunId(id_of(IdKind::Orchestration, id));
        let found = self.ports.run_reads.run(owner, run).await?;
        found.ok_or_else(|| Refusal::not_found("orchestration"))
    }

    /// Of a row of a list. A run that has ended waits for nothing, so only others are read.
    async fn waiting_of(&self, owner: UserId, run: &RunSummary) -> Result<Option<Value>, Refusal> {
        if run.facts.state.is_final() {
            return Ok(None);
        }
        let detail = self.ports.run_reads.run(owner, run.id).await?;
        Ok(detail.and_then(|detail| waiting(&detail.view)))
    }

    /// Returns when a paused run has been resumed.
    async fn going_on(&self, owner: UserId, run: &RunDetail) -> Result<(), Failure> {
        if !matches!(run.view.run.phase, Phase::Paused(_)) {
            return Ok(());
        }
        let followed = self.ports.run_feeds.follow(owner, run.id, Some(run.cursor)).await?;
        let Some(mut followed) = followed else { return Ok(()) };
        while let Some(message) = followed.messages.next().await {
            let is_over = match message?.body {
                Body::Event { event, .. } => matches!(event.event, RunEvent::RunResumed(_)),
                Body::Terminal(_) => true,
                Body::Snapshot { .. }
                | Body::Delta(_)
                | Body::AttemptSuperseded { .. }
                | Body::Gap(_) => false,
            };
            if is_over {
                break;
            }
        }
        Ok(())
    }

    async fn ask(&self, id: &str, call: Call, ask: ControlRequest) -> Answer {
        let run = RunId(id_of(IdKind::Orchestration, id));
        let before = self.run(call.owner(), id).await?;
        let done = self.ports.run_commands.run(call.context(), RunCommand::Ask { run, ask }).await;
        done.map_err(|failure| call.refused(failure))?;
        if ask == ControlRequest::Resume {
            // A client asks for the stream next, and would be told of the pause that is over.
            let going_on = self.going_on(call.owner(), &before);
            drop(timeout(self.settings.resuming, going_on).await);
        }
        let state = state_of(self.run(call.owner(), id).await?.view.run.phase);
        let message = match ask {
            ControlRequest::Cancel => "cancelling: calls that are under way are stopped",
            ControlRequest::Pause => "pausing: calls that are under way end first",
            ControlRequest::Resume => "resuming",
        };
        let body = json!({ "success": true, "status": word(state), "message": message });
        Ok(Json(body).into_response())
    }
}

pub(super) async fn list(
    State(face): State<Arc<RestFace>>,
    Query(listing): Query<Listing>,
    call: Call,
) -> Answer {
    let limit = listing.limit.unwrap_or(LIMIT.0);
    if !(1..=LIMIT.1).contains(&limit) {
        let message = format!("limit must be 1 to {}", LIMIT.1);
        return Err(Failure::new(ErrorCode::Validation, message).into());
    }
    let after = listing.before.as_deref().map(cursor::to_run).transpose()?;
    let page = Page { after, limit, ..Page::default() };
    let found = face.ports.run_reads.runs(call.owner(), filter(&listing)?, page).await?;
    let next = found.runs.last().filter(|_| found.more);
    let next = next.map(|run| cursor::of_run(run.facts.created_at.0, run.id.0));
    let mut runs = Vec::with_capacity(found.runs.len());
    for run in &found.runs {
        let waiting = face.waiting_of(call.owner(), run).await?;
        runs.push(summary(run, waiting.as_ref()));
    }
    Ok(Json(json!({ "executions": runs, "next_before": next })).into_response())
}

pub(super) async fn show(
    State(face): State<Arc<RestFace>>,
    Path(id): Path<String>,
    call: Call,
) -> Answer {
    let run = face.run(call.owner(), &id).await?;
    Ok(([(header::ETAG, etag(run.view.run.version))], Json(detail(&run))).into_response())
}

pub(super) async fn cancel(
    State(face): State<Arc<RestFace>>,
    Path(id): Path<String>,
    call: Call,
) -> Answer {
    face.ask(&id, call, ControlRequest::Cancel).await
}

pub(super) async fn pause(
    State(face): State<Arc<RestFace>>,
    Path(id): Path<String>,
    call: Call,
) -> Answer {
    face.ask(&id, call, ControlRequest::Pause).await
}

pub(super) async fn resume(
    State(face): State<Arc<RestFace>>,
    Path(id): Path<String>,
    call: Call,
) -> Answer {
    face.ask(&id, call, ControlRequest::Resume).await
}

/// From the beginning, or after the event that `Last-Event-ID` names.
pub(super) async fn stream(
    State(face): State<Arc<RestFace>>,
    Path(id): Path<String>,
    request: Request,
) -> Answer {
    let (parts, _) = request.into_parts();
    let call = face.enter(&parts).await?;
    let seat = face.seat(&token_of(&parts)?).await?;
    let run = RunId(id_of(IdKind::Orchestration, &id));
    let last = parts.headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let place = last.filter(|id| !id.is_empty()).map(|id| Place::parse(id, run)).transpose()?;
    let found = face.run(call.owner(), &id).await?;
    let settings = found.view.run.settings.as_ref();
    let is_design = settings.is_some_and(|settings| settings.pattern == Pattern::Design);
    drop(call);
    face.streamed(seat, Translator { run, is_design }, place.unwrap_or_default()).await
}

//! Steps of an orchestration.

use super::usage::TokenUsage;
use super::waiting::{StepFallback, Waiting};
use super::words::{AgentRole, StepState};
use crate::answer::{Heavy, turn};
use crate::error::ErrorCode;
use crate::scalars::{UInt64, int, millis};
use async_graphql::{Context, Error, ID, Object, SimpleObject};
use claviger_application::RunDetail;
use claviger_application::ids::{self, IdKind};
use claviger_domain::id::StepId;
use claviger_domain::orchestration::{self as domain, Fallback, Run, RunFailure};
use claviger_domain::pattern::code_of;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::run_feed::{self, StepView, Wait};
use std::sync::Arc;

pub(super) fn step_id(step: StepId) -> ID {
    ID(ids::encode(IdKind::Step, step.0))
}

/// The part of one agent: calls to a model, of which the last one decides.
#[derive(Clone)]
pub(crate) struct Step {
    known: domain::Step,
    agent: Option<String>,
    told: Told,
    waiting_since: Option<Timestamp>,
    fallback: Option<Fallback>,
}

/// The agent's prompt.
#[derive(Clone)]
enum Told {
    /// Already rendered.
    Known(Option<String>),
    /// Rendered from this run when it is requested.
    By(Arc<RunDetail>),
}

impl Step {
    /// All steps of a run.
    pub(super) fn all(detail: &Arc<RunDetail>) -> Vec<Self> {
        let run = &detail.view.run;
        // One plan for all of them.
        let queued = detail.view.queued();
        let since = |step: &domain::Step| {
            let id = step.planned.step;
            let turn = queued.as_ref().filter(|(queued, _)| queued.contains(&id));
            detail.view.waiting_since.get(&id).copied().or(turn.map(|(_, since)| *since))
        };
        let of = |step: &domain::Step| Self {
            known: step.clone(),
            agent: StepView::agent_of(run, step),
            told: Told::By(Arc::clone(detail)),
            waiting_since: since(step),
            fallback: run.fallback_of(step.planned.step),
        };
        run.steps.iter().map(of).collect()
    }
}

impl From<StepView> for Step {
    fn from(view: StepView) -> Self {
        let StepView { step, agent, told, waiting_since, fallback } = view;
        Self { known: step, agent, told: Told::Known(told), waiting_since, fallback }
    }
}

#[Object]
impl Step {
    /// The step's id.
    async fn id(&self) -> ID {
        step_id(self.known.planned.step)
    }
    /// The agent's name; null for a step without a named agent, and once its content was deleted.
    async fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }
    /// The agent's role in its team.
    async fn role(&self) -> AgentRole {
        self.known.planned.role.into()
    }
    /// The purpose: turn, delegate, work, synthesize, route, aggregate, verdict or design.
    async fn purpose(&self) -> &str {
        self.known.planned.purpose.as_str()
    }
    /// The round, from 1; null for patterns without rounds.
    async fn round(&self) -> Option<i32> {
        self.known.planned.round.map(int)
    }
    /// The current state.
    async fn state(&self) -> StepState {
        StepState::of(self.known.state)
    }
    /// Why it waits for another attempt or for its turn, since when and until when; null if it waits
    /// for neither.
    async fn waiting(&self) -> Option<Waiting> {
        Wait::of_step(&self.known, self.waiting_since).map(Waiting::from)
    }
    /// What was done instead, where its reply could not be used.
    async fn fallback(&self) -> Option<StepFallback> {
        self.fallback.and_then(StepFallback::of)
    }
    /// Number of attempts begun.
    async fn attempt(&self) -> i32 {
        int(self.known.attempts)
    }
    /// The agent's prompt; null before the step has begun, and once its content was deleted.
    async fn input(&self, ctx: &Context<'_>) -> Option<Result<Heavy<String>, Error>> {
        // A prompt is rendered from all that was said before: not for an answer that is too large.
        if let Err(error) = turn(ctx).await {
            return Some(Err(error));
        }
        let told = match &self.told {
            Told::Known(told) => told.clone(),
            Told::By(detail) => StepView::told_to(&detail.view.run, &self.known),
        };
        told.map(|told| Ok(Heavy(told)))
    }
    /// The reply, or "No response" if it had no text; null before the step is completed, and once
    /// its content was deleted.
    async fn output(&self) -> Option<Heavy<&str>> {
        self.known.reply.as_ref().map(|_| Heavy(self.known.reply_text()))
    }
    /// The model that runs the step.
    async fn model(&self) -> &str {
        &self.known.planned.model
    }
    /// Why the reply ended.
    async fn stop_reason(&self) -> Option<&str> {
        self.known.stop_reason.map(domain::StopReason::as_str)
    }
    /// Tokens used by all attempts.
    async fn usage(&self) -> TokenUsage {
        self.known.usage.into()
    }
    /// The cost of all attempts; null if unknown.
    async fn cost_nano_usd(&self) -> Option<UInt64> {
        self.known.cost.0.map(UInt64)
    }
    /// Milliseconds from the request to the first text.
    async fn first_token_ms(&self) -> Option<i32> {
        self.known.first_token_ms.and_then(millis)
    }
    /// Milliseconds from the request to the end.
    async fn duration_ms(&self) -> Option<i32> {
        self.known.duration_ms.and_then(millis)
    }
    /// Why the step failed; null if it did not.
    async fn error(&self) -> Option<OrchestrationError> {
        OrchestrationError::of_step(&self.known)
    }
}

/// Why an orchestration or a step failed.
#[derive(Clone, SimpleObject)]
pub(crate) struct OrchestrationError {
    /// The stable code.
    code: ErrorCode,
    /// One sentence for people.
    message: String,
    /// The step that caused the failure.
    step_id: Option<ID>,
    /// Anthropic's HTTP status; null if it did not answer.
    upstream_status: Option<i32>,
    /// Anthropic's request id, to quote to their support.
    upstream_request_id: Option<String>,
}

/// Replaces a message that was deleted.
const DELETED: &str = "the error message was deleted with the content";

impl OrchestrationError {
    fn of_step(step: &domain::Step) -> Option<Self> {
        let class = match step.state {
            domain::StepState::Failed(class) => class,
            domain::StepState::Planned
            | domain::StepState::Running { .. }
            | domain::StepState::Waiting { .. }
            | domain::StepState::Completed
            | domain::StepState::Skipped => return None,
        };
        Some(Self {
            code: code_of(class).into(),
            message: step.trouble.clone().unwrap_or_else(|| DELETED.to_owned()),
            step_id: Some(step_id(step.planned.step)),
            upstream_status: step.upstream_status.map(i32::from),
            upstream_request_id: step.upstream_request_id.clone(),
        })
    }

    pub(super) fn of_run(run: &Run) -> Option<Self> {
        let RunFailure { code, step, message } = run.failure.clone()?;
        let by = step.and_then(|step| run.step(step));
        Some(Self {
            code: code.into(),
            message: message.unwrap_or_else(|| DELETED.to_owned()),
            step_id: step.map(step_id),
            upstream_status: by.and_then(|step| step.upstream_status).map(i32::from),
            upstream_request_id: by.and_then(|step| step.upstream_request_id.clone()),
        })
    }
}

/// All text of an attempt so far.
#[derive(Clone, SimpleObject)]
pub(crate) struct StepText {
    /// The step.
    step_id: ID,
    /// Number of the attempt, from 1.
    attempt: i32,
    /// The text, from the beginning of the attempt.
    text: Heavy<String>,
}

impl StepText {
    pub(super) fn all(texts: &[run_feed::StepText]) -> Vec<Self> {
        let of = |text: &run_feed::StepText| Self {
            step_id: step_id(text.step),
            attempt: int(text.attempt),
            text: Heavy(text.text.clone()),
        };
        texts.iter().map(of).collect()
    }
}

//! The state of a run, folded from its events. Planners, readers and the next owner rely on nothing
//! else.

use super::call::{Cost, FailureClass, Resolution, Usage};
use super::commands::RunCommand;
use super::definition::{Definition, Pattern};
use super::error::RunError;
use super::event::{
    AttemptFailed, AttemptStarted, Claimed, Completed, Fallback, Next, PauseReason, Reply,
    Requested, Resumed, RunEvent,
};
use super::phase::Phase;
use super::step::{Step, StepState, counts};
use crate::code::ErrorCode;
use crate::id::{BootId, ContextTag, KeyId, StepId};
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Version of the stream.
    pub version: u64,
    /// Where the run stands.
    pub phase: Phase,
    /// The facts of the request; `None` before it.
    pub settings: Option<Settings>,
    /// Agents and work; `None` after its content was erased.
    pub definition: Option<Definition>,
    /// The title its owner gave, if any; `None` after its content was erased.
    pub title: Option<String>,
    /// The context as the owner wrote it; `None` after its content was erased.
    pub context: Option<String>,
    /// The credential in use, and why it was chosen.
    pub resolution: Option<Resolution>,
    /// Number of claims.
    pub epoch: u64,
    /// The process that claimed it last.
    pub owner: Option<BootId>,
    /// Version of the control stream up to which the owner has acted.
    pub control: u64,
    /// All steps, in the order in which they were planned.
    pub steps: Vec<Step>,
    /// Which replies could not be used as they were, and what was done instead.
    pub fallbacks: Vec<(StepId, Fallback)>,
    /// Why the run failed.
    pub failure: Option<Failed>,
}

/// The facts of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The pattern in which its agents work.
    pub pattern: Pattern,
    /// The model of agents that name none.
    pub model: String,
    /// Most tokens of a reply, for agents that name no bound.
    pub max_tokens: u32,
    /// Most calls of the run at a time.
    pub max_concurrency: u32,
    /// Most attempts of one step that count (see [`counts`]).
    pub max_attempts: u32,
    /// Version of the prompts' words.
    pub renderer: u32,
    /// Keyed hash of the context.
    pub context_tag: ContextTag,
    /// The key that the request named, if any.
    pub named_key: Option<KeyId>,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The code of the contract.
    pub code: ErrorCode,
    /// The step whose failure ended it, if one did.
    pub step: Option<StepId>,
    /// One sentence for a person; `None` after its content was erased.
    pub message: Option<String>,
}

impl Run {
    /// The step with this id.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.planned.step == id)
    }

    fn step_mut(&mut self, id: StepId, change: impl FnOnce(&mut Step)) {
        if let Some(step) = self.steps.iter_mut().find(|step| step.planned.step == id) {
            change(step);
        }
    }

    /// What was done instead of using the reply of this step, which is more than reading it leniently.
    pub fn fallback_of(&self, id: StepId) -> Option<Fallback> {
        let of_step = self.fallbacks.iter().filter(|(step, _)| *step == id);
        of_step.map(|(_, fallback)| *fallback).find(|fallback| *fallback != Fallback::JsonInText)
    }

    /// Takes back the start of an attempt that was decided and never appended. `before` is the step
    /// as it was.
    pub fn take_back(&mut self, before: Step) {
        self.version = self.version.saturating_sub(1);
        self.step_mut(before.planned.step, |step| *step = before);
    }

    /// Tokens of all steps together.
    pub fn usage(&self) -> Usage {
        self.steps.iter().fold(Usage::default(), |sum, step| sum.plus(step.usage))
    }

    /// Cost of all steps together.
    pub fn cost(&self) -> Cost {
        self.steps.iter().fold(Cost::default(), |sum, step| sum.plus(step.cost))
    }

    /// The attempts under way: step and number of the attempt.
    pub fn running(&self) -> impl Iterator<Item = (StepId, u32)> {
        self.steps.iter().filter_map(|step| match step.state {
            StepState::Running { attempt } => Some((step.planned.step, attempt)),
            StepState::Planned
            | StepState::Waiting { .. }
            | StepState::Completed
            | StepState::Failed(_)
            | StepState::Skipped => None,
        })
    }

    fn requested(&mut self, facts: Requested) {
        self.phase = Phase::Queued;
        self.resolution = Some(facts.resolution);
        self.settings = Some(Settings {
            pattern: facts.pattern,
            model: facts.model,
            max_tokens: facts.max_tokens,
            max_concurrency: facts.max_concurrency,
            max_attempts: facts.max_attempts,
            renderer: facts.renderer,
            context_tag: facts.context_tag,
            named_key: facts.named_key,
        });
    }

    fn started(&mut self, facts: &AttemptStarted) {
        self.step_mut(facts.step, |step| {
            step.attempts = facts.attempt;
            step.tried += 1;
            step.counted += 1;
            step.credential = Some(facts.credential);
            step.state = StepState::Running { attempt: facts.attempt };
        });
    }

    fn attempt_failed(&mut self, facts: &AttemptFailed) {
        self.step_mut(facts.step, |step| {
            step.usage = step.usage.plus(facts.usage);
            step.cost = step.cost.plus(facts.cost);
            step.upstream_status = facts.status;
            step.is_repaired |= facts.class == FailureClass::InvalidOutput;
            step.restarts += u32::from(facts.class == FailureClass::Restarted);
            step.failed_as = Some(facts.class);
            step.until = facts.until;
            let is_answered = facts.partial_bytes > 0 || facts.usage != Usage::default();
            if !(counts(facts.class) && is_answered) {
                step.counted = step.counted.saturating_sub(1);
            }
            step.state = match facts.next {
                Next::Retry { at } => StepState::Waiting { until: Some(at) },
                Next::Pause => StepState::Waiting { until: None },
                Next::GiveUp => StepState::Failed(facts.class),
            };
        });
    }

    fn completed(&mut self, facts: &Completed, reply: Option<Reply>) {
        self.step_mut(facts.step, |step| {
            step.state = StepState::Completed;
            step.stop_reason = Some(facts.stop_reason);
            step.usage = step.usage.plus(facts.usage);
            step.cost = step.cost.plus(facts.cost);
            step.first_token_ms = facts.first_token_ms;
            step.duration_ms = Some(facts.duration_ms);
            step.trouble = None;
            step.failed_as = None;
            step.until = None;
            step.upstream_status = None;
            if let Some(reply) = reply {
                step.reply = Some(reply.text);
                step.upstream_request_id = reply.upstream_request_id;
            }
        });
    }

    fn claimed(&mut self, facts: &Claimed) {
        // A paused run is claimed in order to resume or cancel it, and stays paused until that
        // event.
        if self.phase == Phase::Queued {
            self.phase = Phase::Running;
        }
        self.epoch = facts.epoch;
        self.owner = Some(facts.owner);
        // Only a process that stopped without closing its calls leaves some to the next owner.
        for kept in &facts.kept {
            self.step_mut(kept.step, |step| step.crashes += 1);
        }
    }

    fn resumed(&mut self, facts: Resumed) {
        self.phase = Phase::Running;
        self.control = facts.control;
        self.resolution = Some(facts.resolution);
        // Steps that waited for the resumption may start, and all that bounds them is counted anew.
        for step in self.steps.iter_mut().filter(|step| !step.is_settled()) {
            step.crashes = 0;
            (step.tried, step.counted, step.restarts) = (0, 0, 0);
            if step.is_stalled() {
                step.state = StepState::Planned;
            }
        }
    }
}

impl Aggregate for Run {
    const TYPE: &'static str = "run";
    type Command = RunCommand;
    type Event = RunEvent;
    type Error = RunError;
    type Services = ();

    async fn handle(
        &mut self,
        command: RunCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), RunError> {
        for event in command.decide(self)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: RunEvent) {
        self.version += 1;
        match event {
            RunEvent::RunRequested(facts, content) => {
                self.requested(facts);
                if let Some(content) = content {
                    self.title = content.title;
                    self.context = Some(content.context);
                    self.definition = Some(content.definition);
                }
            }
            RunEvent::RunClaimed(facts) => self.claimed(&facts),
            RunEvent::StepsPlanned(facts) => {
                self.steps.extend(facts.steps.into_iter().map(Step::new));
            }
            RunEvent::StepAttemptStarted(facts) => self.started(&facts),
            RunEvent::StepAttemptFailed(facts, trouble) => {
                self.attempt_failed(&facts);
                if let Some(trouble) = trouble {
                    self.step_mut(facts.step, |step| {
                        if facts.class == FailureClass::InvalidOutput && step.repair.is_none() {
                            step.repair = Some(trouble.message.clone());
                        }
                        step.trouble = Some(trouble.message);
                        step.upstream_request_id = trouble.upstream_request_id;
                    });
                }
            }
            RunEvent::StepCompleted(facts, reply) => self.completed(&facts, reply),
            RunEvent::StepSkipped(facts) => {
                self.step_mut(facts.step, |step| step.state = StepState::Skipped);
            }
            RunEvent::FallbackApplied(facts, _) => {
                self.fallbacks.push((facts.step, facts.fallback));
            }
            RunEvent::RunPaused(facts) => {
                self.phase = Phase::Paused(facts.reason);
                self.control = facts.control;
            }
            RunEvent::RunHalted(facts) => {
                self.phase = Phase::Paused(PauseReason::Interrupted);
                self.control = facts.control;
            }
            RunEvent::RunStalled(facts) => {
                self.phase = Phase::Paused(facts.reason);
                self.control = facts.control;
            }
            RunEvent::PartsGiven(facts) => {
                self.fallbacks.push((facts.step, Fallback::PartsAsTheyAre));
            }
            RunEvent::RunResumed(facts) => self.resumed(facts),
            RunEvent::RunCancelled(facts) => {
                self.phase = Phase::Cancelled;
                self.control = facts.control;
            }
            RunEvent::RunCompleted(_) => self.phase = Phase::Completed,
            RunEvent::RunFailed(facts, because) => {
                self.phase = Phase::Failed;
                let message = because.map(|because| because.message);
                self.failure = Some(Failed { code: facts.code, step: facts.step, message });
            }
        }
    }
}

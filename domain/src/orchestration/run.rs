//! The state of a run, folded from its events. It is the run's whole memory: what a planner, a reader and a new owner know.

use super::call::{Cost, Credential, FailureClass, Resolution, StopReason, Usage};
use super::command::RunCommand;
use super::definition::{Definition, Pattern};
use super::error::RunError;
use super::event::{
    AttemptFailed, AttemptStarted, Claimed, Completed, Fallback, Next, PauseReason, PlannedStep,
    Requested, RunEvent,
};
use crate::code::ErrorCode;
use crate::id::{BootId, ContextTag, KeyId, StepId};
use crate::timestamp::Timestamp;
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// There is no run yet.
    #[default]
    None,
    /// Asked for, and nobody works on it yet.
    Queued,
    /// Somebody works on it, or did until they vanished.
    Running,
    /// It stands still.
    Paused(PauseReason),
    /// It is done.
    Completed,
    /// It came to nothing.
    Failed,
    /// It was stopped for good.
    Cancelled,
}

impl Phase {
    /// Nothing will happen to it any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepState {
    /// It has its place.
    Planned,
    /// This attempt is under way.
    Running {
        /// Which.
        attempt: u32,
    },
    /// The last attempt failed, and it is tried again.
    Waiting {
        /// When, at the earliest; absent while the run is paused.
        until: Option<Timestamp>,
    },
    /// It is done.
    Completed,
    /// It came to nothing.
    Failed(FailureClass),
    /// It was left out.
    Skipped,
}

/// A step, as planners and readers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its place in the plan.
    pub planned: PlannedStep,
    /// Where it stands.
    pub state: StepState,
    /// Attempts begun.
    pub attempts: u32,
    /// Of those, the ones that count against the most allowed.
    pub counted: u32,
    /// What the last attempt was made with.
    pub credential: Option<Credential>,
    /// An answer was in the wrong form already: the next such is final.
    pub is_repaired: bool,
    /// What was wrong with that answer, in words: the next attempt is told. Later failures of other kinds leave it alone.
    pub repair: Option<String>,
    /// The reply; `None` before, and after its content was erased.
    pub reply: Option<String>,
    /// Why the reply ended.
    pub stop_reason: Option<StopReason>,
    /// What all attempts used.
    pub usage: Usage,
    /// What they cost.
    pub cost: Cost,
    /// From the request to the first text.
    pub first_token_ms: Option<u64>,
    /// From the request to the end.
    pub duration_ms: Option<u64>,
    /// What the last failure was, in words.
    pub trouble: Option<String>,
    /// The upstream's status at the last failure.
    pub upstream_status: Option<u16>,
    /// `request-id` of the last answer.
    pub upstream_request_id: Option<String>,
}

impl Step {
    fn new(planned: PlannedStep) -> Self {
        Self {
            planned,
            state: StepState::Planned,
            attempts: 0,
            counted: 0,
            credential: None,
            is_repaired: false,
            repair: None,
            reply: None,
            stop_reason: None,
            usage: Usage::default(),
            cost: Cost::default(),
            first_token_ms: None,
            duration_ms: None,
            trouble: None,
            upstream_status: None,
            upstream_request_id: None,
        }
    }

    /// The reply as it is shown and handed on: never empty.
    pub fn said(&self) -> &str {
        match self.reply.as_deref() {
            Some(text) if !text.trim().is_empty() => text,
            Some(_) | None => "No response",
        }
    }

    /// Done, failed or left out.
    pub const fn is_settled(&self) -> bool {
        matches!(self.state, StepState::Completed | StepState::Failed(_) | StepState::Skipped)
    }

    /// Done.
    pub const fn is_completed(&self) -> bool {
        matches!(self.state, StepState::Completed)
    }
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Version of the stream.
    pub version: u64,
    /// Where it stands.
    pub phase: Phase,
    /// What was asked for, as facts.
    pub settings: Option<Settings>,
    /// What it does; `None` after its content was erased.
    pub definition: Option<Definition>,
    /// What its owner calls it.
    pub title: Option<String>,
    /// The context in clear.
    pub context: Option<String>,
    /// Which credential it uses, and why.
    pub resolution: Option<Resolution>,
    /// Counts claims.
    pub epoch: u64,
    /// Who claimed it last.
    pub owner: Option<BootId>,
    /// Version of the control stream up to which requests are spent.
    pub control: u64,
    /// All steps, in the order of their plan.
    pub steps: Vec<Step>,
    /// What was done instead of what a reply should have led to.
    pub fallbacks: Vec<(StepId, Fallback)>,
    /// Why it came to nothing.
    pub failure: Option<Failed>,
}

/// What was asked for, as facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How its agents work together.
    pub pattern: Pattern,
    /// The model where an agent names none.
    pub model: String,
    /// Most tokens of a reply where an agent names none.
    pub max_tokens: u32,
    /// Most calls at once.
    pub max_concurrency: u32,
    /// Most attempts of a step that count.
    pub max_attempts: u32,
    /// Keyed hash of the context.
    pub context_tag: ContextTag,
    /// The key that the request named.
    pub named_key: Option<KeyId>,
}

/// Why a run came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The code of the contract.
    pub code: ErrorCode,
    /// The step it failed by.
    pub step: Option<StepId>,
    /// In words.
    pub message: Option<String>,
}

impl Run {
    /// A step by its id.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.planned.step == id)
    }

    fn step_mut(&mut self, id: StepId, change: impl FnOnce(&mut Step)) {
        if let Some(step) = self.steps.iter_mut().find(|step| step.planned.step == id) {
            change(step);
        }
    }

    /// What all steps used.
    pub fn usage(&self) -> Usage {
        self.steps.iter().fold(Usage::default(), |sum, step| sum.plus(step.usage))
    }

    /// What all steps cost.
    pub fn cost(&self) -> Cost {
        self.steps.iter().fold(Cost::default(), |sum, step| sum.plus(step.cost))
    }

    /// The attempts under way.
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
            context_tag: facts.context_tag,
            named_key: facts.named_key,
        });
    }

    fn started(&mut self, facts: &AttemptStarted) {
        self.step_mut(facts.step, |step| {
            step.attempts = facts.attempt;
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
            if !counts(facts.class) {
                step.counted = step.counted.saturating_sub(1);
            }
            step.state = match facts.next {
                Next::Retry { at } => StepState::Waiting { until: Some(at) },
                Next::Pause => StepState::Waiting { until: None },
                Next::GiveUp => StepState::Failed(facts.class),
            };
        });
    }

    fn completed(&mut self, facts: &Completed, reply: Option<super::event::Reply>) {
        self.step_mut(facts.step, |step| {
            step.state = StepState::Completed;
            step.stop_reason = Some(facts.stop_reason);
            step.usage = step.usage.plus(facts.usage);
            step.cost = step.cost.plus(facts.cost);
            step.first_token_ms = facts.first_token_ms;
            step.duration_ms = Some(facts.duration_ms);
            step.trouble = None;
            step.upstream_status = None;
            if let Some(reply) = reply {
                step.reply = Some(reply.text);
                step.upstream_request_id = reply.upstream_request_id;
            }
        });
    }

    fn claimed(&mut self, facts: &Claimed) {
        // A paused run is claimed by whoever resumes or cancels it, and stands still until they have.
        if self.phase == Phase::Queued {
            self.phase = Phase::Running;
        }
        self.epoch = facts.epoch;
        self.owner = Some(facts.owner);
    }
}

/// Whether a failure of this class counts as an attempt: waiting for one's turn doesn't, nor does what wasn't the call's fault.
pub const fn counts(class: FailureClass) -> bool {
    match class {
        FailureClass::RateLimit
        | FailureClass::SpendLimit
        | FailureClass::Interrupted
        | FailureClass::Restarted => false,
        FailureClass::Request
        | FailureClass::Authentication
        | FailureClass::Credit
        | FailureClass::Permission
        | FailureClass::Overloaded
        | FailureClass::Connection
        | FailureClass::Timeout
        | FailureClass::Protocol
        | FailureClass::InvalidOutput
        | FailureClass::Refusal
        | FailureClass::Cancelled => true,
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
            RunEvent::RunRequested(facts, asked) => {
                self.requested(facts);
                if let Some(asked) = asked {
                    self.title = asked.title;
                    self.context = Some(asked.context);
                    self.definition = Some(asked.definition);
                }
            }
            RunEvent::RunClaimed(facts) => self.claimed(&facts),
            RunEvent::StepsPlanned(facts) => {
                self.steps.extend(facts.steps.into_iter().map(Step::new))
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
                self.step_mut(facts.step, |step| step.state = StepState::Skipped)
            }
            RunEvent::FallbackApplied(facts, _) => {
                self.fallbacks.push((facts.step, facts.fallback))
            }
            RunEvent::RunPaused(facts) => {
                self.phase = Phase::Paused(facts.reason);
                self.control = facts.control;
            }
            RunEvent::RunResumed(facts) => {
                self.phase = Phase::Running;
                self.control = facts.control;
                self.resolution = Some(facts.resolution);
                // What waited for this may begin.
                for step in self
                    .steps
                    .iter_mut()
                    .filter(|step| step.state == StepState::Waiting { until: None })
                {
                    step.state = StepState::Planned;
                }
            }
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

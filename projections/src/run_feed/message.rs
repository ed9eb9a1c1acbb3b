//! What a subscriber is told.

use super::cursor::FeedCursor;
use crate::ports::StoredEvent;
use claviger_domain::Aggregate as _;
use claviger_domain::id::StepId;
use claviger_domain::orchestration::{FailureClass, Run, RunEvent, Step};
use claviger_domain::pattern;
use claviger_domain::timestamp::Timestamp;
use std::sync::Arc;

/// An event of a run: as it is stored, and as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// As it is stored.
    pub stored: StoredEvent,
    /// Decoded, with its content where that could be opened.
    pub event: RunEvent,
}

impl RunRecord {
    /// Its version.
    pub fn version(&self) -> u64 {
        self.stored.envelope.version
    }
}

/// A run with the times of what happened to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunView {
    /// The run.
    pub run: Run,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When somebody began to work on it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl RunView {
    /// Takes an event in.
    pub fn apply(&mut self, event: RunEvent, at: Timestamp) {
        match &event {
            RunEvent::RunRequested(..) => self.created_at = at,
            RunEvent::RunClaimed(_) => self.started_at = self.started_at.or(Some(at)),
            RunEvent::RunCancelled(_) | RunEvent::RunCompleted(_) | RunEvent::RunFailed(..) => {
                self.finished_at = Some(at)
            }
            RunEvent::StepsPlanned(_)
            | RunEvent::StepAttemptStarted(_)
            | RunEvent::StepAttemptFailed(..)
            | RunEvent::StepCompleted(..)
            | RunEvent::StepSkipped(_)
            | RunEvent::FallbackApplied(..)
            | RunEvent::RunPaused(_)
            | RunEvent::RunResumed(_) => {}
        }
        self.run.apply(event);
    }
}

/// A step, with what only its run can say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    /// The step.
    pub step: Step,
    /// The name of its agent, where it has one and names can be read.
    pub agent: Option<String>,
    /// What its agent was told; `None` before it has begun, and where texts can't be read.
    pub told: Option<String>,
}

impl StepView {
    /// A step of this run.
    pub fn of(run: &Run, step: &Step) -> Self {
        Self {
            step: step.clone(),
            agent: Self::agent_of(run, step),
            told: Self::told_to(run, step),
        }
    }

    /// The name of a step's agent.
    pub fn agent_of(run: &Run, step: &Step) -> Option<String> {
        Some(run.definition.as_ref()?.agent(step.planned.agent?)?.name.clone())
    }

    /// What a step's agent was told.
    pub fn told_to(run: &Run, step: &Step) -> Option<String> {
        let prompt = if step.attempts == 0 { None } else { pattern::prompt(run, step) };
        prompt.map(|prompt| prompt.text())
    }
}

/// All text of an attempt so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepText {
    /// The step.
    pub step: StepId,
    /// Which attempt.
    pub attempt: u32,
    /// From its beginning.
    pub text: String,
}

/// More text of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextDelta {
    /// The step.
    pub step: StepId,
    /// Which attempt.
    pub attempt: u32,
    /// The name of its agent, where it has one and names can be read.
    pub agent: Option<String>,
    /// Where it begins: UTF-8 bytes from the start of the attempt's text.
    pub offset: u64,
    /// The text.
    pub text: String,
}

impl TextDelta {
    /// Where the next piece begins.
    pub fn end(&self) -> u64 {
        self.offset + self.text.len() as u64
    }
}

/// Why text is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Superseded {
    /// Another process has taken the run over; what the one before wrote later counts for nobody.
    TakenOver,
    /// The attempt came to nothing, and another has begun.
    Failed(FailureClass),
}

impl Superseded {
    /// The word shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TakenOver => "taken_over",
            Self::Failed(class) => class.as_str(),
        }
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Where the run stands.
    Snapshot {
        /// The run.
        view: Box<RunView>,
        /// The text so far of each running attempt.
        partial: Vec<StepText>,
    },
    /// Something happened.
    Event {
        /// What.
        event: Arc<RunRecord>,
        /// The step it is about, as it stands after it.
        step: Option<Box<StepView>>,
    },
    /// More text.
    Delta(TextDelta),
    /// Text of this attempt beyond `keep_bytes` is void.
    AttemptSuperseded {
        /// The step.
        step: StepId,
        /// Which attempt.
        attempt: u32,
        /// What stays, in UTF-8 bytes from its beginning.
        keep_bytes: u64,
        /// Why.
        reason: Superseded,
    },
    /// Text is gone; full texts of finished steps stand in for it.
    Gap(Vec<StepText>),
    /// The run has ended. Nothing follows.
    Terminal(Box<RunView>),
}

/// A message and its place: a reader that comes back with it gets exactly what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedMessage {
    /// The place.
    pub cursor: FeedCursor,
    /// What it says.
    pub body: Body,
}

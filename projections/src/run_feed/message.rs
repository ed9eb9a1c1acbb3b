//! The messages that a subscriber receives.

use super::cursor::FeedCursor;
use crate::ports::StoredEvent;
use claviger_domain::Aggregate as _;
use claviger_domain::id::StepId;
use claviger_domain::orchestration::{FailureClass, Fallback, Next, Run, RunEvent, Step};
use claviger_domain::pattern;
use claviger_domain::timestamp::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An event of a run, both as stored and decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// The stored form.
    pub stored: StoredEvent,
    /// The decoded event, with its content if that could be opened.
    pub event: RunEvent,
}

impl RunRecord {
    /// Version of the event in the run's stream.
    pub fn version(&self) -> u64 {
        self.stored.envelope.version
    }
}

/// A run with the times of its events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunView {
    /// The run's state.
    pub run: Run,
    /// When the run was requested.
    pub created_at: Timestamp,
    /// When an engine first claimed it; `None` before.
    pub started_at: Option<Timestamp>,
    /// When the run ended; `None` before.
    pub finished_at: Option<Timestamp>,
    /// Since when it is paused, and until when what stands in its way lasts, as far as that is known;
    /// `None` if it is not paused.
    pub paused: Option<(Timestamp, Option<Timestamp>)>,
    /// When the last attempt of each step that waits failed.
    pub waiting_since: BTreeMap<StepId, Timestamp>,
}

impl RunView {
    /// Applies an event.
    pub fn apply(&mut self, event: RunEvent, at: Timestamp) {
        match &event {
            RunEvent::RunRequested(..) => self.created_at = at,
            RunEvent::RunClaimed(_) => self.started_at = self.started_at.or(Some(at)),
            RunEvent::RunCancelled(_) | RunEvent::RunCompleted(_) | RunEvent::RunFailed(..) => {
                self.finished_at = Some(at);
                self.paused = None;
            }
            RunEvent::StepAttemptStarted(facts) => self.ends_waiting(facts.step),
            RunEvent::StepSkipped(facts) => self.ends_waiting(facts.step),
            RunEvent::StepAttemptFailed(facts, _) if facts.next == Next::GiveUp => {
                self.ends_waiting(facts.step);
            }
            RunEvent::StepAttemptFailed(facts, _) => {
                self.waiting_since.insert(facts.step, at);
            }
            RunEvent::RunPaused(_) | RunEvent::RunHalted(_) => self.paused = Some((at, None)),
            RunEvent::RunStalled(facts) => self.paused = Some((at, facts.until)),
            RunEvent::RunResumed(_) => self.paused = None,
            RunEvent::StepsPlanned(_)
            | RunEvent::StepCompleted(..)
            | RunEvent::FallbackApplied(..)
            | RunEvent::PartsGiven(_) => {}
        }
        self.run.apply(event);
    }

    fn ends_waiting(&mut self, step: StepId) {
        self.waiting_since.remove(&step);
    }
}

/// A step, with the data that only its run has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    /// The step's own state.
    pub step: Step,
    /// The agent's name, if it has one and names can be read.
    pub agent: Option<String>,
    /// The agent's prompt; `None` before the step has begun, and where texts cannot be read.
    pub told: Option<String>,
    /// When its last attempt failed, if it waits for another.
    pub waiting_since: Option<Timestamp>,
    /// What was done instead, where its reply could not be used.
    pub fallback: Option<Fallback>,
}

impl StepView {
    /// A step of this run.
    pub fn of(view: &RunView, step: &Step) -> Self {
        let run = &view.run;
        Self {
            step: step.clone(),
            agent: Self::agent_of(run, step),
            told: Self::told_to(run, step),
            waiting_since: view.waiting_since.get(&step.planned.step).copied(),
            fallback: run.fallback_of(step.planned.step),
        }
    }

    /// The name of a step's agent.
    pub fn agent_of(run: &Run, step: &Step) -> Option<String> {
        Some(run.definition.as_ref()?.agent(step.planned.agent?)?.name.clone())
    }

    /// The prompt of a step's agent.
    pub fn told_to(run: &Run, step: &Step) -> Option<String> {
        let prompt = if step.attempts == 0 { None } else { pattern::prompt(run, step) };
        prompt.map(|prompt| prompt.text())
    }
}

/// All text of an attempt so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepText {
    /// The step of the attempt.
    pub step: StepId,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// The text, from the beginning of the attempt.
    pub text: String,
}

/// More text of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextDelta {
    /// The step of the attempt.
    pub step: StepId,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// The agent's name, if it has one and names can be read.
    pub agent: Option<String>,
    /// UTF-8 bytes from the start of the attempt's text to this piece.
    pub offset: u64,
    /// The piece of text.
    pub text: String,
}

impl TextDelta {
    /// The offset of the next piece.
    pub fn end(&self) -> u64 {
        self.offset + self.text.len() as u64
    }
}

/// Why text is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Superseded {
    /// Another process has taken over the run; text that the previous owner wrote later is void.
    TakenOver,
    /// The attempt failed, and another has begun.
    Failed(FailureClass),
}

impl Superseded {
    /// The word that is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TakenOver => "taken_over",
            Self::Failed(class) => class.as_str(),
        }
    }
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// The current state of the run.
    Snapshot {
        /// The run with its times.
        view: Arc<RunView>,
        /// The text so far of each running attempt.
        partial: Arc<[StepText]>,
    },
    /// An event of the run.
    Event {
        /// The stored and decoded event.
        event: Arc<RunRecord>,
        /// The step that the event concerns, in its state after the event.
        step: Option<Arc<StepView>>,
    },
    /// More text.
    Delta(TextDelta),
    /// Text of this attempt beyond `keep_bytes` is void.
    AttemptSuperseded {
        /// The step of the attempt.
        step: StepId,
        /// Number of the attempt, from 1.
        attempt: u32,
        /// Bytes of UTF-8 text that remain valid, from the start of the attempt's text.
        keep_bytes: u64,
        /// Why the text is void.
        reason: Superseded,
    },
    /// Rows of text are lost; the full texts of completed steps replace them.
    Gap(Arc<[StepText]>),
    /// The run has ended. No message follows.
    Terminal(Arc<RunView>),
}

/// A message and its position. Clones share what is large. A reader that returns with this cursor gets exactly the messages
/// after it.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedMessage {
    /// The position.
    pub cursor: FeedCursor,
    /// The content.
    pub body: Body,
}

//! Folds events into the row.

use super::view::{RunContent, RunFacts, RunState, RunSummary};
use claviger_domain::orchestration::{Cost, PauseReason, RunEvent, Usage};
use claviger_domain::timestamp::Timestamp;

impl RunSummary {
    /// The row after an event. `None` if there is no row yet and the event cannot be a run's first.
    #[must_use]
    pub fn after(before: Option<Self>, event: &RunEvent, at: Timestamp) -> Option<Self> {
        if let RunEvent::RunRequested(facts, asked) = event {
            let content = asked.as_ref().map(|asked| RunContent { title: asked.title.clone() });
            let id = facts.run;
            let facts = RunFacts {
                pattern: facts.pattern,
                state: RunState::Queued,
                paused: None,
                created_at: at,
                started_at: None,
                finished_at: None,
                calls: 0,
                usage: Usage::default(),
                cost: Cost::default(),
                version: 1,
                control: 0,
                owner: None,
            };
            return Some(Self { id, facts, content });
        }
        let mut summary = before?;
        summary.facts.version += 1;
        summary.facts.take(event, at);
        Some(summary)
    }
}

impl RunFacts {
    fn take(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::RunClaimed(facts) => {
                if self.state == RunState::Queued {
                    self.state = RunState::Running;
                }
                self.started_at = self.started_at.or(Some(at));
                self.owner = Some(facts.owner);
            }
            RunEvent::StepAttemptFailed(facts, _) => self.called(facts.usage, facts.cost),
            RunEvent::StepCompleted(facts, _) => self.called(facts.usage, facts.cost),
            RunEvent::RunPaused(facts) => {
                self.state = RunState::Paused;
                self.paused = Some(facts.reason);
                self.control = facts.control;
            }
            RunEvent::RunHalted(facts) => {
                self.state = RunState::Paused;
                self.paused = Some(PauseReason::Interrupted);
                self.control = facts.control;
            }
            RunEvent::RunStalled(facts) => {
                self.state = RunState::Paused;
                self.paused = Some(facts.reason);
                self.control = facts.control;
            }
            RunEvent::RunResumed(facts) => {
                self.state = RunState::Running;
                self.paused = None;
                self.control = facts.control;
            }
            RunEvent::RunCancelled(facts) => {
                self.control = facts.control;
                self.end(RunState::Cancelled, at);
            }
            RunEvent::RunCompleted(_) => self.end(RunState::Completed, at),
            RunEvent::RunFailed(..) => self.end(RunState::Failed, at),
            RunEvent::RunRequested(..)
            | RunEvent::StepsPlanned(_)
            | RunEvent::StepAttemptStarted(_)
            | RunEvent::StepSkipped(_)
            | RunEvent::FallbackApplied(..)
            | RunEvent::PartsGiven(_) => {}
        }
    }

    fn called(&mut self, usage: Usage, cost: Cost) {
        self.calls += 1;
        self.usage = self.usage.plus(usage);
        self.cost = self.cost.plus(cost);
    }

    fn end(&mut self, state: RunState, at: Timestamp) {
        self.state = state;
        self.paused = None;
        self.finished_at = Some(at);
    }
}

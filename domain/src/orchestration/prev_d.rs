//! The count of rows of text in the events of a run.

use super::event::RunEvent;

impl RunEvent {
    /// Sets how many rows of text deltas became durable since the event before. The first event of
    /// a run has no event before it.
    pub fn set_prev_d(&mut self, rows: u64) {
        match self {
            Self::RunRequested(..) => {}
            Self::RunClaimed(facts) => facts.prev_d = rows,
            Self::StepsPlanned(facts) => facts.prev_d = rows,
            Self::StepAttemptStarted(facts) => facts.prev_d = rows,
            Self::StepAttemptFailed(facts, _) => facts.prev_d = rows,
            Self::StepCompleted(facts, _) => facts.prev_d = rows,
            Self::StepSkipped(facts) => facts.prev_d = rows,
            Self::FallbackApplied(facts, _) => facts.prev_d = rows,
            Self::RunPaused(facts) => facts.prev_d = rows,
            Self::RunHalted(facts) => facts.prev_d = rows,
            Self::RunStalled(facts) => facts.prev_d = rows,
            Self::PartsGiven(facts) => facts.prev_d = rows,
            Self::RunResumed(facts) => facts.prev_d = rows,
            Self::RunCancelled(facts) => facts.prev_d = rows,
            Self::RunCompleted(facts) => facts.prev_d = rows,
            Self::RunFailed(facts, _) => facts.prev_d = rows,
        }
    }

    /// How many rows of text deltas became durable since the event before.
    pub const fn prev_d(&self) -> u64 {
        match self {
            Self::RunRequested(..) => 0,
            Self::RunClaimed(facts) => facts.prev_d,
            Self::StepsPlanned(facts) => facts.prev_d,
            Self::StepAttemptStarted(facts) => facts.prev_d,
            Self::StepAttemptFailed(facts, _) => facts.prev_d,
            Self::StepCompleted(facts, _) => facts.prev_d,
            Self::StepSkipped(facts) => facts.prev_d,
            Self::FallbackApplied(facts, _) => facts.prev_d,
            Self::RunPaused(facts) => facts.prev_d,
            Self::RunHalted(facts) => facts.prev_d,
            Self::RunStalled(facts) => facts.prev_d,
            Self::PartsGiven(facts) => facts.prev_d,
            Self::RunResumed(facts) => facts.prev_d,
            Self::RunCancelled(facts) => facts.prev_d,
            Self::RunCompleted(facts) => facts.prev_d,
            Self::RunFailed(facts, _) => facts.prev_d,
        }
    }
}

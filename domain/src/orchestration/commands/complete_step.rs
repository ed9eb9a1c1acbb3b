use super::conditions::under_way;
use crate::id::{RunId, StepId};
use crate::orchestration::{Completed, Cost, Reply, Run, RunError, RunEvent, StopReason, Usage};

/// Closes a call with its reply.
#[derive(Clone, Debug)]
pub struct CompleteStep {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// Number of the attempt, which must be under way.
    pub attempt: u32,
    /// The reply.
    pub reply: Reply,
    /// Why the reply ended.
    pub stop_reason: StopReason,
    /// Tokens of the attempt.
    pub usage: Usage,
    /// Cost of the attempt.
    pub cost: Cost,
    /// Milliseconds from the request to the first text; `None` if there was no text.
    pub first_token_ms: Option<u64>,
    /// Milliseconds from the request to the end.
    pub duration_ms: u64,
}

impl CompleteStep {
    pub(super) fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
        let (credential, model, pattern) = under_way(run, self.step, self.attempt)?;
        let facts = Completed {
            run: self.run,
            prev_d: 0,
            step: self.step,
            attempt: self.attempt,
            credential,
            model,
            pattern,
            stop_reason: self.stop_reason,
            usage: self.usage,
            cost: self.cost,
            first_token_ms: self.first_token_ms,
            duration_ms: self.duration_ms,
        };
        Ok(vec![RunEvent::StepCompleted(facts, Some(self.reply))])
    }
}

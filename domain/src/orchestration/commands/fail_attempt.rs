use super::conditions::under_way;
use crate::id::{RunId, StepId};
use crate::orchestration::again::after_failure;
use crate::orchestration::{
    AttemptFailed, Cost, FailureClass, Next, Run, RunError, RunEvent, Trouble, Usage,
};
use crate::timestamp::Timestamp;

/// Closes a call that failed.
#[derive(Clone, Debug)]
pub struct FailAttempt {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// Number of the attempt, which must be under way.
    pub attempt: u32,
    /// Why it failed.
    pub class: FailureClass,
    /// The upstream's HTTP status, if it responded.
    pub status: Option<u16>,
    /// Bytes of text that were received.
    pub partial_bytes: u64,
    /// Tokens of the attempt, as far as they were received.
    pub usage: Usage,
    /// Cost of those tokens.
    pub cost: Cost,
    /// The attempt may be billed for more than `usage`.
    pub maybe_billed: bool,
    /// What happens to the step; instead of an attempt beyond the last that it may have, the run
    /// pauses.
    pub next: Next,
    /// When what stands in the way ends, as far as the upstream says it.
    pub until: Option<Timestamp>,
    /// The failure in words.
    pub trouble: Trouble,
}

impl FailAttempt {
    pub(super) fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
        let (credential, model, pattern) = under_way(run, self.step, self.attempt)?;
        let step = run.step(self.step).ok_or(RunError::NoStep)?;
        let facts = AttemptFailed {
            run: self.run,
            prev_d: 0,
            step: self.step,
            attempt: self.attempt,
            credential,
            model,
            pattern,
            class: self.class,
            status: self.status,
            partial_bytes: self.partial_bytes,
            usage: self.usage,
            cost: self.cost,
            maybe_billed: self.maybe_billed,
            next: after_failure(step, self.class, self.next),
            until: self.until,
        };
        Ok(vec![RunEvent::StepAttemptFailed(facts, Some(self.trouble))])
    }
}

use crate::id::{RunId, StepId};
use crate::orchestration::{
    AttemptFailed, Cost, FailureClass, Next, Run, RunError, RunEvent, Trouble, Usage,
};

/// Closes a call that came to nothing.
#[derive(Clone, Debug)]
pub struct FailAttempt {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// Which attempt.
    pub attempt: u32,
    /// Why.
    pub class: FailureClass,
    /// The upstream's HTTP status.
    pub status: Option<u16>,
    /// Bytes of text that were received.
    pub partial_bytes: u64,
    /// What it used.
    pub usage: Usage,
    /// What that cost.
    pub cost: Cost,
    /// It may have cost more.
    pub maybe_billed: bool,
    /// What becomes of the step.
    pub next: Next,
    /// In words.
    pub trouble: Trouble,
}

impl FailAttempt {
    pub(super) fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
        let (credential, model, pattern) = super::under_way(run, self.step, self.attempt)?;
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
            next: self.next,
        };
        Ok(vec![RunEvent::StepAttemptFailed(facts, Some(self.trouble))])
    }
}

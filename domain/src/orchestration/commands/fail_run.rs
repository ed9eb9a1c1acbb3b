use super::conditions::{alive, quiet, skips};
use crate::code::ErrorCode;
use crate::id::{RunId, StepId};
use crate::orchestration::{Because, Failed, Run, RunError, RunEvent, SkipReason};

/// Ends a run without a result, once its calls have been closed.
#[derive(Clone, Debug)]
pub struct FailRun {
    /// The run.
    pub run: RunId,
    /// The error code that users see.
    pub code: ErrorCode,
    /// The step whose failure ended it, if one did.
    pub step: Option<StepId>,
    /// One sentence for a person.
    pub message: String,
}

impl FailRun {
    pub(super) fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
        alive(run)?;
        quiet(run)?;
        let mut events = skips(self.run, run, SkipReason::RunFailed);
        let facts = Failed { run: self.run, prev_d: 0, code: self.code, step: self.step };
        events.push(RunEvent::RunFailed(facts, Some(Because { message: self.message })));
        Ok(events)
    }
}

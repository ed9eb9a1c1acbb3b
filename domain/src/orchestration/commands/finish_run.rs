use super::conditions::{quiet, running};
use crate::id::RunId;
use crate::orchestration::{Done, Run, RunError, RunEvent};

/// Ends a run with a result. The planner decides when.
#[derive(Clone, Debug)]
pub struct FinishRun {
    /// The run.
    pub run: RunId,
}

impl FinishRun {
    pub(super) fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
        running(run)?;
        quiet(run)?;
        Ok(vec![RunEvent::RunCompleted(Done { run: self.run, prev_d: 0 })])
    }
}

use super::conditions::{quiet, running};
use crate::id::RunId;
use crate::orchestration::{PauseReason, Paused, Run, RunError, RunEvent};

/// Pauses a run, once its calls have ended.
#[derive(Clone, Debug)]
pub struct PauseRun {
    /// The run.
    pub run: RunId,
    /// Why it pauses.
    pub reason: PauseReason,
    /// Version of the control stream up to which the owner has acted.
    pub control: u64,
}

impl PauseRun {
    pub(super) fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
        running(run)?;
        quiet(run)?;
        let Self { run, reason, control } = self;
        Ok(vec![RunEvent::RunPaused(Paused { run, prev_d: 0, reason, control })])
    }
}

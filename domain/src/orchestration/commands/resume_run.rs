use super::conditions::alive;
use crate::id::RunId;
use crate::orchestration::{Phase, Resolution, Resumed, Run, RunError, RunEvent};

/// Resumes a paused run with a credential that was resolved again.
#[derive(Clone, Debug)]
pub struct ResumeRun {
    /// The run.
    pub run: RunId,
    /// Version of the control stream up to which the owner has acted.
    pub control: u64,
    /// The credential that it uses from here on, and why.
    pub resolution: Resolution,
}

impl ResumeRun {
    pub(super) fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
        alive(run)?;
        if !matches!(run.phase, Phase::Paused(_)) {
            return Err(RunError::NotPaused);
        }
        let Self { run, control, resolution } = self;
        Ok(vec![RunEvent::RunResumed(Resumed { run, prev_d: 0, control, resolution })])
    }
}

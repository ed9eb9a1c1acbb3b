use super::conditions::{alive, quiet, skips};
use crate::id::RunId;
use crate::orchestration::{Cancelled, Run, RunError, RunEvent, SkipReason};

/// Ends a run on request, once its calls have been closed.
#[derive(Clone, Debug)]
pub struct CancelRun {
    /// The run.
    pub run: RunId,
    /// Version of the control stream up to which the owner has acted.
    pub control: u64,
}

impl CancelRun {
    pub(super) fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
        alive(run)?;
        quiet(run)?;
        let mut events = skips(self.run, run, SkipReason::RunCancelled);
        events.push(RunEvent::RunCancelled(Cancelled {
            run: self.run,
            prev_d: 0,
            control: self.control,
        }));
        Ok(events)
    }
}

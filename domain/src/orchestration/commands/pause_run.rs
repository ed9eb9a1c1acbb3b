use super::conditions::{quiet, running};
use crate::id::RunId;
use crate::orchestration::{Halted, PauseReason, Paused, Run, RunError, RunEvent, Stalled, Step};

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
        let Self { run: id, reason, control } = self;
        let stalled = || run.steps.iter().find(|step| step.is_stalled());
        Ok(vec![match reason {
            // An event of its own: programs from before don't know this reason.
            PauseReason::Interrupted if run.steps.iter().any(Step::is_crashing) => {
                let step = run.steps.iter().find(|step| step.is_crashing());
                let Step { planned, crashes, .. } = step.ok_or(RunError::WrongStep)?;
                let (step, crashes) = (planned.step, *crashes);
                RunEvent::RunHalted(Halted { run: id, prev_d: 0, step, crashes, control })
            }
            // The same holds for these, and for what an event from before could not say.
            PauseReason::Interrupted
            | PauseReason::RateLimit
            | PauseReason::Overloaded
            | PauseReason::UpstreamFault
            | PauseReason::Credit
            | PauseReason::KeyRefused
            | PauseReason::OrganizationDisabled => stall(id, stalled(), reason, control)?,
            PauseReason::SpendLimit if stalled().is_some_and(|step| step.until.is_some()) => {
                stall(id, stalled(), reason, control)?
            }
            PauseReason::Requested | PauseReason::SpendLimit | PauseReason::KeyUnavailable => {
                RunEvent::RunPaused(Paused { run: id, prev_d: 0, reason, control })
            }
        }])
    }
}

fn stall(
    run: RunId,
    step: Option<&Step>,
    reason: PauseReason,
    control: u64,
) -> Result<RunEvent, RunError> {
    let Step { planned, until, .. } = step.ok_or(RunError::WrongStep)?;
    let (step, until) = (planned.step, *until);
    Ok(RunEvent::RunStalled(Stalled { run, prev_d: 0, step, reason, until, control }))
}

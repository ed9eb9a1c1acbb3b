//! Conditions that several commands share, and the steps that the end of a run skips.

use crate::id::{RunId, StepId};
use crate::orchestration::{
    Credential, Pattern, Phase, Run, RunError, RunEvent, SkipReason, Skipped, StepState,
};

/// Refuses a run that does not exist or has ended.
pub(super) fn alive(run: &Run) -> Result<(), RunError> {
    match run.phase {
        Phase::None => Err(RunError::NotFound),
        Phase::Completed | Phase::Failed | Phase::Cancelled => Err(RunError::Ended),
        Phase::Queued | Phase::Running | Phase::Paused(_) => Ok(()),
    }
}

/// Refuses a run that isn't running.
pub(super) fn running(run: &Run) -> Result<(), RunError> {
    alive(run)?;
    if run.phase == Phase::Running { Ok(()) } else { Err(RunError::WrongPhase(run.phase)) }
}

/// The pattern of a run that was requested.
pub(super) fn pattern_of(run: &Run) -> Result<Pattern, RunError> {
    run.settings.as_ref().map(|settings| settings.pattern).ok_or(RunError::NotFound)
}

/// Refuses a run with a call under way.
pub(super) fn quiet(run: &Run) -> Result<(), RunError> {
    if run.running().next().is_some() { Err(RunError::CallsUnderWay) } else { Ok(()) }
}

/// Credential, model and pattern of the attempt, which must be under way.
pub(super) fn under_way(
    run: &Run,
    step: StepId,
    attempt: u32,
) -> Result<(Credential, String, Pattern), RunError> {
    running(run)?;
    let pattern = pattern_of(run)?;
    let step = run.step(step).ok_or(RunError::NoStep)?;
    match (step.state, step.credential) {
        (StepState::Running { attempt: current }, Some(credential)) if current == attempt => {
            Ok((credential, step.planned.model.clone(), pattern))
        }
        _ => Err(RunError::WrongStep),
    }
}

/// Skips every step that is not settled: those never started, and those that were to be retried.
pub(super) fn skips(id: RunId, run: &Run, reason: SkipReason) -> Vec<RunEvent> {
    let open = run.steps.iter().filter(|step| !step.is_settled());
    open.map(|step| {
        RunEvent::StepSkipped(Skipped { run: id, prev_d: 0, step: step.planned.step, reason })
    })
    .collect()
}

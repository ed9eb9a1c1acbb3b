//! The commands on a run, one per file. Each decides from the state alone. Every event's `prev_d`
//! is 0: only the process that appends knows how many rows of text are durable, and sets that of
//! the first event ([`RunEvent::set_prev_d`]).

mod cancel_run;
mod claim_run;
mod complete_step;
mod fail_attempt;
mod fail_run;
mod finish_run;
mod pause_run;
mod plan_steps;
mod request_run;
mod resume_run;
mod start_attempt;

pub use cancel_run::CancelRun;
pub use claim_run::ClaimRun;
pub use complete_step::CompleteStep;
pub use fail_attempt::FailAttempt;
pub use fail_run::FailRun;
pub use finish_run::FinishRun;
pub use pause_run::PauseRun;
pub use plan_steps::PlanSteps;
pub use request_run::RequestRun;
pub use resume_run::ResumeRun;
pub use start_attempt::StartAttempt;

use super::aggregate::Run;
use super::call::Credential;
use super::definition::Pattern;
use super::error::RunError;
use super::event::{RunEvent, SkipReason, Skipped};
use super::phase::Phase;
use super::step::StepState;
use crate::commands::commands;
use crate::id::{RunId, StepId};

commands! {
    /// A command on a run.
    RunCommand on Run: RunEvent, RunError {
        RequestRun,
        ClaimRun,
        PlanSteps,
        StartAttempt,
        FailAttempt,
        CompleteStep,
        PauseRun,
        ResumeRun,
        CancelRun,
        FinishRun,
        FailRun,
    }
}

/// Refuses a run that does not exist or has ended.
fn alive(run: &Run) -> Result<(), RunError> {
    match run.phase {
        Phase::None => Err(RunError::NotFound),
        Phase::Completed | Phase::Failed | Phase::Cancelled => Err(RunError::Ended),
        Phase::Queued | Phase::Running | Phase::Paused(_) => Ok(()),
    }
}

/// Refuses a run that isn't running.
fn running(run: &Run) -> Result<(), RunError> {
    alive(run)?;
    if run.phase == Phase::Running { Ok(()) } else { Err(RunError::WrongPhase(run.phase)) }
}

/// The pattern of a run that was requested.
fn pattern_of(run: &Run) -> Result<Pattern, RunError> {
    run.settings.as_ref().map(|settings| settings.pattern).ok_or(RunError::NotFound)
}

/// Refuses a run with a call under way.
fn quiet(run: &Run) -> Result<(), RunError> {
    if run.running().next().is_some() { Err(RunError::CallsUnderWay) } else { Ok(()) }
}

/// Credential, model and pattern of the attempt, which must be under way.
fn under_way(
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
fn skips(id: RunId, run: &Run, reason: SkipReason) -> Vec<RunEvent> {
    let open = run.steps.iter().filter(|step| !step.is_settled());
    open.map(|step| {
        RunEvent::StepSkipped(Skipped { run: id, prev_d: 0, step: step.planned.step, reason })
    })
    .collect()
}

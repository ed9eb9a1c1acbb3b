//! What may be asked of a run, one command a file. Each decides from the state alone. Every event's `prev_d` is 0: whoever appends sets
//! that of the first, because only they know how many rows of text are durable ([`RunEvent::set_prev_d`]).

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

use super::call::Credential;
use super::definition::Pattern;
use super::error::RunError;
use super::event::{RunEvent, SkipReason, Skipped};
use super::run::{Phase, Run, StepState};
use crate::id::{RunId, StepId};

macro_rules! commands {
    ($($name:ident),+) => {
        /// Everything that may be asked of a run.
        #[derive(Clone, Debug)]
        #[expect(missing_docs, reason = "each variant is its command, documented there")]
        pub enum RunCommand { $($name($name)),+ }

        impl RunCommand {
            /// The events that the command leads to.
            ///
            /// # Errors
            /// [`RunError`]: the run stays as it is.
            pub fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
                match self { $(Self::$name(command) => command.decide(run)),+ }
            }
        }

        $(impl From<$name> for RunCommand {
            fn from(command: $name) -> Self {
                Self::$name(command)
            }
        })+
    };
}
commands!(
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
    FailRun
);

/// There is a run, and it hasn't ended.
fn alive(run: &Run) -> Result<(), RunError> {
    match run.phase {
        Phase::None => Err(RunError::NotFound),
        Phase::Completed | Phase::Failed | Phase::Cancelled => Err(RunError::Ended),
        Phase::Queued | Phase::Running | Phase::Paused(_) => Ok(()),
    }
}

/// The run is in somebody's hands and goes on.
fn running(run: &Run) -> Result<(), RunError> {
    alive(run)?;
    if run.phase == Phase::Running { Ok(()) } else { Err(RunError::WrongPhase(run.phase)) }
}

/// How the agents of a run work together.
fn pattern_of(run: &Run) -> Result<Pattern, RunError> {
    run.settings.as_ref().map(|settings| settings.pattern).ok_or(RunError::NotFound)
}

/// No call is under way.
fn quiet(run: &Run) -> Result<(), RunError> {
    if run.running().next().is_some() { Err(RunError::CallsUnderWay) } else { Ok(()) }
}

/// What the attempt that is under way was made with, and in which pattern.
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

/// Leaves out what never began, and what won't be tried again.
fn skips(id: RunId, run: &Run, reason: SkipReason) -> Vec<RunEvent> {
    let open = run.steps.iter().filter(|step| !step.is_settled());
    open.map(|step| {
        RunEvent::StepSkipped(Skipped { run: id, prev_d: 0, step: step.planned.step, reason })
    })
    .collect()
}

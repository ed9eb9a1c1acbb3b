//! The commands on a run, one per file. Each decides from the state alone. Every event's `prev_d`
//! is 0: only the process that appends knows how many rows of text are durable, and sets that of
//! the first event ([`RunEvent::set_prev_d`]).

mod cancel_run;
mod claim_run;
mod complete_step;
mod conditions;
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
use super::error::RunError;
use super::event::RunEvent;
use crate::commands::commands;

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

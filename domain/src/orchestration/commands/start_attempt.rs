use super::conditions::running;
use crate::id::{RunId, StepId};
use crate::orchestration::{AttemptStarted, Credential, Run, RunError, RunEvent, StepState};

/// Starts an attempt. The event is durable before the secret is opened, so no call is made that the
/// log does not have.
#[derive(Clone, Debug)]
pub struct StartAttempt {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// The credential.
    pub credential: Credential,
    /// Keyed hash of the request, in hexadecimal digits.
    pub request_hash: String,
}

impl StartAttempt {
    pub(super) fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
        running(run)?;
        let step = run.step(self.step).ok_or(RunError::NoStep)?;
        match step.state {
            StepState::Planned | StepState::Waiting { .. } => {}
            StepState::Running { .. }
            | StepState::Completed
            | StepState::Failed(_)
            | StepState::Skipped => {
                return Err(RunError::WrongStep);
            }
        }
        Ok(vec![RunEvent::StepAttemptStarted(AttemptStarted {
            run: self.run,
            prev_d: 0,
            step: self.step,
            attempt: step.attempts + 1,
            credential: self.credential,
            model: step.planned.model.clone(),
            request_hash: self.request_hash,
        })])
    }
}

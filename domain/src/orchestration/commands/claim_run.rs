use super::conditions::{alive, pattern_of};
use crate::id::{BootId, RunId, StepId};
use crate::orchestration::again::{CRASHES_MAX, after_crash};
use crate::orchestration::{
    AttemptFailed, Claimed, Cost, FailureClass, Kept, Next, Run, RunError, RunEvent, Trouble, Usage,
};
use crate::timestamp::Timestamp;

/// Claims a run for a process. From this event on the previous owner can append nothing: its next
/// append conflicts with the version.
#[derive(Clone, Debug)]
pub struct ClaimRun {
    /// The run.
    pub run: RunId,
    /// The process that claims it.
    pub owner: BootId,
    /// Of each running attempt, the bytes of text in all valid rows of its deltas.
    pub kept: Vec<(StepId, u64)>,
    /// The current time.
    pub now: Timestamp,
}

impl ClaimRun {
    pub(super) fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
        alive(run)?;
        let bytes_of =
            |step| self.kept.iter().find(|(kept, _)| *kept == step).map_or(0, |(_, bytes)| *bytes);
        let kept: Vec<_> = run
            .running()
            .map(|(step, attempt)| Kept { step, attempt, bytes: bytes_of(step) })
            .collect();
        let claimed = Claimed {
            run: self.run,
            prev_d: 0,
            epoch: run.epoch + 1,
            owner: self.owner,
            kept: kept.clone(),
        };
        let mut events = vec![RunEvent::RunClaimed(claimed)];
        for kept in kept {
            let step = run.step(kept.step).ok_or(RunError::NoStep)?;
            let credential = step.credential.ok_or(RunError::NoStep)?;
            let next = after_crash(step, self.now);
            let crashes = step.crashes + 1;
            let facts = AttemptFailed {
                run: self.run,
                prev_d: 0,
                step: kept.step,
                attempt: kept.attempt,
                credential,
                model: step.planned.model.clone(),
                pattern: pattern_of(run)?,
                class: FailureClass::Interrupted,
                status: None,
                partial_bytes: kept.bytes,
                usage: Usage::default(),
                // Only the process that made the call could have known its cost.
                cost: Cost(None),
                maybe_billed: true,
                next,
                until: None,
            };
            let message = trouble(next, crashes).to_owned();
            events.push(RunEvent::StepAttemptFailed(
                facts,
                Some(Trouble { message, upstream_request_id: None }),
            ));
        }
        Ok(events)
    }
}

const fn trouble(next: Next, crashes: u32) -> &'static str {
    match next {
        Next::Retry { .. } => {
            "the process that made the call stopped before its end: the call is retried"
        }
        Next::Pause if crashes >= CRASHES_MAX => {
            "the process that made the call stopped before its end, for the third time: resume the orchestration to try again"
        }
        Next::Pause | Next::GiveUp => {
            "the process that made the call stopped before its end, and the call was made very often: resume the orchestration to try again"
        }
    }
}

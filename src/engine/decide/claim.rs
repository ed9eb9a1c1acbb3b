//! Whether a run may be claimed, and the claim.

use super::state::WorkState;
use super::turn::{Decision, Flow, Turn};
use claviger_domain::id::{BootId, StepId};
use claviger_domain::orchestration::{ClaimRun, ControlRequest, Phase, Run, RunControl, RunError};
use claviger_domain::timestamp::Timestamp;

/// The process, known to be gone, whose running runs may be claimed; `None` if no other process is
/// known to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PreviousOwner(pub(crate) Option<BootId>);

/// Whether there is work that the process `by` may do. A running run belongs to its owner, a paused
/// one to no process.
pub(crate) fn may_claim(
    run: &Run,
    control: &RunControl,
    PreviousOwner(previous): PreviousOwner,
    by: BootId,
) -> bool {
    let pending = control.pending(run.control);
    match run.phase {
        Phase::Queued => true,
        Phase::Running => run.owner == Some(by) || (previous.is_some() && run.owner == previous),
        Phase::Paused(_) => {
            matches!(pending, Some(ControlRequest::Cancel | ControlRequest::Resume))
        }
        Phase::None | Phase::Completed | Phase::Failed | Phase::Cancelled => false,
    }
}

/// Claims the run. `kept` has the bytes of valid text of each attempt that the previous owner left
/// open.
pub(crate) fn claim(
    state: &mut WorkState,
    by: BootId,
    kept: Vec<(StepId, u64)>,
    now: Timestamp,
) -> Result<Decision, RunError> {
    let mut turn = Turn::new(state);
    turn.take(ClaimRun { run: turn.state.id, owner: by, kept, now })?;
    Ok(turn.end(Flow::Continues))
}

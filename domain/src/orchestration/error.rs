//! Why a command on a run was refused.

use super::phase::Phase;
use crate::code::ErrorCode;

/// A refusal: nothing was changed. Those marked as a fault of the engine never reach a user; the
/// texts of the others are for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Unknown, or owned by another user.
    #[error("no such orchestration: list your orchestrations to see their ids")]
    NotFound,
    /// The id is in use: a fault of the caller, not of the user.
    #[error("the id is in use")]
    IdInUse,
    /// Completed, failed or cancelled.
    #[error("the orchestration has ended: start another one")]
    Ended,
    /// Only a paused run can be resumed.
    #[error("the orchestration is not paused: there is nothing to resume")]
    NotPaused,
    /// Not possible in this phase: a fault of the engine.
    #[error("the run is {0:?}, and the command is not possible in that phase")]
    WrongPhase(Phase),
    /// Not possible in the step's state: a fault of the engine.
    #[error("the command is not possible in the step's state")]
    WrongStep,
    /// The step does not exist: a fault of the engine.
    #[error("no such step")]
    NoStep,
    /// Calls are still under way: a fault of the engine.
    #[error("calls of the run are still under way")]
    CallsUnderWay,
}

impl RunError {
    /// The code of the contract.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::NotFound,
            Self::Ended | Self::NotPaused => ErrorCode::Conflict,
            Self::IdInUse
            | Self::WrongPhase(_)
            | Self::WrongStep
            | Self::NoStep
            | Self::CallsUnderWay => ErrorCode::Internal,
        }
    }
}

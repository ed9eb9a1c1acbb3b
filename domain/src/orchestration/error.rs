//! Why a command on a run was refused.

use super::run::Phase;
use crate::code::ErrorCode;

/// A refusal: nothing was changed. Most are for the engine, which then looks at the run anew; the texts of the others are for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Unknown, or somebody else's.
    #[error("no such orchestration: list your orchestrations to see their ids")]
    NotFound,
    /// The id is in use: a fault of the caller, not of the user.
    #[error("the id is in use")]
    IdInUse,
    /// Nothing happens to it any more.
    #[error("the orchestration has ended: start another one")]
    Ended,
    /// Only a paused run can be resumed.
    #[error("the orchestration isn't paused: there is nothing to resume")]
    NotPaused,
    /// It isn't at a point where this can happen: a fault of the engine.
    #[error("the run is {0:?} and can't do this")]
    WrongPhase(Phase),
    /// The step isn't at a point where this can happen: a fault of the engine.
    #[error("the step can't do this now")]
    WrongStep,
    /// There is no such step: a fault of the engine.
    #[error("there is no such step")]
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

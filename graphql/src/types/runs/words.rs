//! Enums of the contract, and words that stand where the contract has text.

use async_graphql::Enum;
use claviger_domain::orchestration::{self as domain, PauseReason, Phase};
use claviger_projections::runs::RunState;

/// How agents work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::Pattern")]
pub(crate) enum Pattern {
    /// One after another, each with the reply of the one before.
    Sequential,
    /// In rounds, each with all that was said.
    Debate,
    /// A manager splits the task, workers do the parts, the manager puts them together.
    Hierarchical,
    /// All at once on the same task.
    Parallel,
    /// A router chooses who does it.
    Routing,
    /// One call that answers with a design.
    Design,
}

/// Where an orchestration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "RunState")]
pub(crate) enum OrchestrationState {
    /// Asked for, and nobody works on it yet.
    Queued,
    /// Under way.
    Running,
    /// It stands still until somebody resumes or cancels it.
    Paused,
    /// Done.
    Completed,
    /// It came to nothing.
    Failed,
    /// Stopped for good.
    Cancelled,
}

impl OrchestrationState {
    pub(super) const fn of(phase: Phase) -> Self {
        match phase {
            Phase::None | Phase::Queued => Self::Queued,
            Phase::Running => Self::Running,
            Phase::Paused(_) => Self::Paused,
            Phase::Completed => Self::Completed,
            Phase::Failed => Self::Failed,
            Phase::Cancelled => Self::Cancelled,
        }
    }
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum StepState {
    /// It has its place.
    Planned,
    /// A call is under way.
    Running,
    /// The last attempt failed, and it is tried again.
    Waiting,
    /// Done.
    Completed,
    /// It came to nothing.
    Failed,
    /// Left out.
    Skipped,
}

impl StepState {
    pub(super) const fn of(state: domain::StepState) -> Self {
        match state {
            domain::StepState::Planned => Self::Planned,
            domain::StepState::Running { .. } => Self::Running,
            domain::StepState::Waiting { .. } => Self::Waiting,
            domain::StepState::Completed => Self::Completed,
            domain::StepState::Failed(_) => Self::Failed,
            domain::StepState::Skipped => Self::Skipped,
        }
    }
}

/// What an agent is in its team. A moderator speaks last in a debate; the others are words for the agent's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::AgentRole")]
pub(crate) enum AgentRole {
    /// Splits and puts together.
    Manager,
    /// Does the work.
    Worker,
    /// Does one kind of work.
    Specialist,
    /// Speaks last in a round of a debate.
    Moderator,
    /// Looks back at what was done.
    Reflector,
}

/// When a parallel orchestration has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum FailurePolicy {
    /// As soon as one agent has; the others are stopped.
    Fail,
    /// When all have.
    Continue,
    /// When fewer than `quorum` can still succeed.
    Quorum,
}

/// Why an orchestration stands still.
pub(super) const fn pause_reason(reason: PauseReason) -> &'static str {
    match reason {
        PauseReason::Requested => "requested",
        PauseReason::SpendLimit => "spend_limit",
        PauseReason::KeyUnavailable => "key_unavailable",
    }
}

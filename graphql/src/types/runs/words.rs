//! Enums of the schema, and the words of its text fields.

use async_graphql::Enum;
use claviger_domain::orchestration::{self as domain, Phase};
use claviger_projections::runs::RunState;

/// How agents work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::Pattern")]
pub(crate) enum Pattern {
    /// One after another, each with the previous reply.
    Sequential,
    /// In rounds, each with everything said so far.
    Debate,
    /// A manager splits the task, workers do the parts, and the manager combines the results.
    Hierarchical,
    /// All on the same task at the same time.
    Parallel,
    /// A router chooses the agent that does the task.
    Routing,
    /// One call that returns a design.
    Design,
}

/// The state of an orchestration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "RunState")]
pub(crate) enum OrchestrationState {
    /// Requested; no engine works on it yet.
    Queued,
    /// In progress.
    Running,
    /// Waits until it is resumed or cancelled.
    Paused,
    /// Finished with a result.
    Completed,
    /// Ended in failure.
    Failed,
    /// Stopped permanently on request.
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

/// The state of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum StepState {
    /// In the plan; not yet begun.
    Planned,
    /// A call is in progress.
    Running,
    /// The last attempt failed, and another will follow.
    Waiting,
    /// Finished with a reply.
    Completed,
    /// Failed permanently.
    Failed,
    /// Left out of the run.
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

/// An agent's role in its team. A moderator speaks last in a debate; the other roles are labels for
/// the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::AgentRole")]
pub(crate) enum AgentRole {
    /// Splits the task and combines the results.
    Manager,
    /// Does the work.
    Worker,
    /// Does one kind of work.
    Specialist,
    /// Speaks last in each round of a debate.
    Moderator,
    /// Reviews the work that was done.
    Reflector,
}

/// When a parallel orchestration fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum FailurePolicy {
    /// When one agent fails. The others are stopped.
    Fail,
    /// When all agents fail.
    Continue,
    /// When fewer than `quorum` agents can still succeed.
    Quorum,
}

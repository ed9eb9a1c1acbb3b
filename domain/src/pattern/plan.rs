//! What a run does next: a function of its definition and its state, so that whoever takes a run over goes on as its last owner would have.

use super::{debate, design, hierarchical, parallel, routing, sequential};
use crate::code::ErrorCode;
use crate::id::StepId;
use crate::orchestration::{
    Definition, FailureClass, Fallback, Purpose, Run, Step, StepState, Work,
};

/// A step that is to get its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextStep {
    /// Whose, by the place in the definition; `None` where no agent is named.
    pub agent: Option<u32>,
    /// What for.
    pub purpose: Purpose,
    /// In which round, from 1.
    pub round: Option<u32>,
    /// Place among the steps of its purpose and round, from 0.
    pub item: u32,
}

/// What was done instead of what a reply should have led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallBack {
    /// Whose reply.
    pub step: StepId,
    /// What was done.
    pub fallback: Fallback,
    /// The name that it spoke of in vain.
    pub name: Option<String>,
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All is done.
    Completed,
    /// It came to nothing.
    Failed {
        /// The code of the contract.
        code: ErrorCode,
        /// The step it failed by.
        step: Option<StepId>,
        /// One sentence for a person.
        message: String,
    },
}

/// What a run does next. Steps to plan come first: once they have their places, the plan is asked for anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Recorded together with `steps`, or alone: the plan is then asked for anew.
    pub fallbacks: Vec<FallBack>,
    /// To get their places.
    pub steps: Vec<NextStep>,
    /// May begin, in this order: planned, or waiting for another attempt.
    pub ready: Vec<StepId>,
    /// The run has ended. Calls that are under way are stopped first.
    pub end: Option<End>,
}

/// What a run does next. Nothing for a run whose content was erased: nobody knows any more what it should do.
pub fn plan(run: &Run) -> Plan {
    let Some(definition) = &run.definition else { return Plan::default() };
    match &definition.work {
        Work::Sequential { sequence, .. } => sequential::plan(sequence, run),
        Work::Debate { participants, rounds, .. } => {
            debate::plan(definition, participants, *rounds, run)
        }
        Work::Hierarchical { manager, workers, .. } => {
            hierarchical::plan(definition, *manager, workers, run)
        }
        Work::Parallel { workers, aggregator, on_failure, .. } => {
            parallel::plan(workers, *aggregator, *on_failure, run)
        }
        Work::Routing { router, specialists, .. } => {
            routing::plan(definition, *router, specialists, run)
        }
        Work::Design { .. } => design::plan(run),
    }
}

impl Plan {
    /// Steps that get their places.
    pub(super) fn of(steps: Vec<NextStep>) -> Self {
        Self { steps, ..Self::default() }
    }

    /// All is done.
    pub(super) fn done() -> Self {
        Self { end: Some(End::Completed), ..Self::default() }
    }

    /// Everything of these steps that may begin.
    pub(super) fn start<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Self {
        let may_begin =
            |step: &&Step| matches!(step.state, StepState::Planned | StepState::Waiting { .. });
        Self {
            ready: steps.into_iter().filter(may_begin).map(|step| step.planned.step).collect(),
            ..Self::default()
        }
    }

    /// The run came to nothing by this step.
    pub(super) fn failed_by(definition: Option<&Definition>, step: &Step) -> Self {
        let class = match step.state {
            StepState::Failed(class) => class,
            StepState::Planned
            | StepState::Running { .. }
            | StepState::Waiting { .. }
            | StepState::Completed
            | StepState::Skipped => FailureClass::Cancelled,
        };
        let name = step
            .planned
            .agent
            .and_then(|place| definition?.agent(place))
            .map(|agent| agent.name.as_str());
        let who = name.map_or_else(|| "the call".to_owned(), |name| format!("the agent {name:?}"));
        let why = step.trouble.as_deref().unwrap_or("see the step's attempts for why");
        let message = format!("{who} came to nothing: {why}");
        let end = End::Failed { code: code_of(class), step: Some(step.planned.step), message };
        Self { end: Some(end), ..Self::default() }
    }
}

/// The contract's code for a run that a failure of this class ended.
pub const fn code_of(class: FailureClass) -> ErrorCode {
    match class {
        FailureClass::Authentication
        | FailureClass::Credit
        | FailureClass::Permission
        | FailureClass::SpendLimit => ErrorCode::KeyUnavailable,
        FailureClass::Request => ErrorCode::Validation,
        FailureClass::Timeout => ErrorCode::Timeout,
        FailureClass::RateLimit
        | FailureClass::Overloaded
        | FailureClass::Connection
        | FailureClass::Protocol
        | FailureClass::InvalidOutput
        | FailureClass::Refusal
        | FailureClass::Interrupted
        | FailureClass::Restarted
        | FailureClass::Cancelled => ErrorCode::Upstream,
    }
}

/// The steps of a purpose, in the order of their plan.
pub(super) fn of(run: &Run, purpose: Purpose) -> impl Iterator<Item = &Step> {
    run.steps.iter().filter(move |step| step.planned.purpose == purpose)
}

/// The first step that has failed.
pub(super) fn failed(run: &Run) -> Option<&Step> {
    run.steps.iter().find(|step| matches!(step.state, StepState::Failed(_)))
}

/// Steps of one purpose, one for each agent, numbered in order.
pub(super) fn one_each(agents: &[u32], purpose: Purpose, round: Option<u32>) -> Vec<NextStep> {
    (0..)
        .zip(agents)
        .map(|(item, agent)| NextStep { agent: Some(*agent), purpose, round, item })
        .collect()
}

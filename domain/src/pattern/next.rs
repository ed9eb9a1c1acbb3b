//! What planners return, and the parts that they share.

use crate::code::ErrorCode;
use crate::id::StepId;
use crate::orchestration::{Definition, FailureClass, Fallback, Purpose, Run, Step, StepState};

/// A step to be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextStep {
    /// The agent, by its index in the definition; `None` for a step without one (a design).
    pub agent: Option<u32>,
    /// What the step is for.
    pub purpose: Purpose,
    /// The round, from 1; `None` where there are none.
    pub round: Option<u32>,
    /// Index among the steps of its purpose and round, from 0.
    pub item: u32,
}

/// A reply that could not be used as it was, and what was done instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallBack {
    /// The step that replied.
    pub step: StepId,
    /// What was done instead.
    pub fallback: Fallback,
    /// The name in the reply that no agent has, if that was the reason.
    pub name: Option<String>,
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a result.
    Completed,
    /// Without a result.
    Failed {
        /// The code of the contract.
        code: ErrorCode,
        /// The step whose failure ended it, if one did.
        step: Option<StepId>,
        /// One sentence for a person.
        message: String,
    },
}

/// What a run does next. While there are steps to plan or fallbacks to record, `ready` is empty:
/// record them and plan again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be recorded, in one append with `steps`.
    pub fallbacks: Vec<FallBack>,
    /// To be planned.
    pub steps: Vec<NextStep>,
    /// May start, in this order: planned, or waiting for another attempt.
    pub ready: Vec<StepId>,
    /// The run ends. Calls under way are stopped first.
    pub end: Option<End>,
}

impl Plan {
    /// Steps to be planned.
    pub(super) fn of(steps: Vec<NextStep>) -> Self {
        Self { steps, ..Self::default() }
    }

    /// The run ends with a result.
    pub(super) fn done() -> Self {
        Self { end: Some(End::Completed), ..Self::default() }
    }

    /// Those of these steps that may start.
    pub(super) fn start<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Self {
        let may_begin =
            |step: &&Step| matches!(step.state, StepState::Planned | StepState::Waiting { .. });
        Self {
            ready: steps.into_iter().filter(may_begin).map(|step| step.planned.step).collect(),
            ..Self::default()
        }
    }

    /// The run fails because this step did.
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
        let message = format!("{who} failed: {why}");
        let end = End::Failed { code: code_of(class), step: Some(step.planned.step), message };
        Self { end: Some(end), ..Self::default() }
    }
}

/// Whether a step that was to put replies together failed in a way that concerns the putting together
/// alone: the replies stay what they are.
fn leaves_parts(step: &Step) -> bool {
    let is_final = matches!(step.planned.purpose, Purpose::Synthesize | Purpose::Aggregate);
    is_final
        && matches!(
            step.state,
            StepState::Failed(
                FailureClass::Request
                    | FailureClass::TooLarge
                    | FailureClass::InvalidOutput
                    | FailureClass::Refusal
            )
        )
}

/// A step has failed: the run does too, unless the step was to put replies together that are there.
pub(super) fn after_failure(run: &Run, step: &Step) -> Plan {
    let id = step.planned.step;
    if !leaves_parts(step) {
        Plan::failed_by(run.definition.as_ref(), step)
    } else if run.fallbacks.contains(&(id, Fallback::PartsAsTheyAre)) {
        Plan::done()
    } else {
        let fallback = FallBack { step: id, fallback: Fallback::PartsAsTheyAre, name: None };
        Plan { fallbacks: vec![fallback], ..Plan::default() }
    }
}

/// The replies themselves, each under its heading.
pub(super) fn as_they_are(parts: impl Iterator<Item = (String, String)>) -> String {
    parts.map(|(label, text)| format!("## {label}\n{text}")).collect::<Vec<_>>().join("\n\n")
}

/// The contract's code for a run that a failure of this class ended.
pub const fn code_of(class: FailureClass) -> ErrorCode {
    match class {
        FailureClass::Authentication
        | FailureClass::Credit
        | FailureClass::Disabled
        | FailureClass::Permission
        | FailureClass::SpendLimit => ErrorCode::KeyUnavailable,
        FailureClass::Request => ErrorCode::Validation,
        FailureClass::TooLarge => ErrorCode::LimitExceeded,
        FailureClass::Timeout => ErrorCode::Timeout,
        FailureClass::RateLimit
        | FailureClass::Between
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

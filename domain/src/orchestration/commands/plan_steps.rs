use super::conditions::running;
use crate::id::{RunId, StepId};
use crate::orchestration::{
    Fallback, FellBack, Given, Planned, PlannedStep, Run, RunError, RunEvent, SpokenOf,
};

/// Plans steps, and records which replies could not be used as they were, and what was done
/// instead.
#[derive(Clone, Debug)]
pub struct PlanSteps {
    /// The run.
    pub run: RunId,
    /// The step that replied, what was done instead, and the name in the reply that no agent has,
    /// if that was the reason.
    pub fallbacks: Vec<(StepId, Fallback, Option<String>)>,
    /// The steps.
    pub steps: Vec<PlannedStep>,
}

/// Most characters kept of a name that no agent has.
const NAME_MAX: usize = 200;

impl PlanSteps {
    pub(super) fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
        running(run)?;
        if self.steps.iter().any(|step| run.step(step.step).is_some()) {
            return Err(RunError::IdInUse);
        }
        let mut events = Vec::with_capacity(self.fallbacks.len() + 1);
        for (step, fallback, name) in self.fallbacks {
            let replied = run.step(step).ok_or(RunError::NoStep)?;
            if fallback == Fallback::PartsAsTheyAre && replied.is_settled() {
                let given = Given { run: self.run, prev_d: 0, step };
                events.push(RunEvent::PartsGiven(given));
                continue;
            }
            if !replied.is_completed() {
                return Err(RunError::WrongStep);
            }
            let name = name.map(|name| SpokenOf { name: name.chars().take(NAME_MAX).collect() });
            events.push(RunEvent::FallbackApplied(
                FellBack { run: self.run, prev_d: 0, step, fallback },
                name,
            ));
        }
        if !self.steps.is_empty() {
            events.push(RunEvent::StepsPlanned(Planned {
                run: self.run,
                prev_d: 0,
                steps: self.steps,
            }));
        }
        Ok(events)
    }
}

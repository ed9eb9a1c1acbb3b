//! The result of a run in the shape of the REST facade, its final text, and whether a reply can be
//! used.

use super::{debate, design, hierarchical, parallel, routing, sequential};
use crate::orchestration::{Definition, Phase, Purpose, Run, Step, Work};
use serde_json::Value;

/// The whole result of a completed run; `None` before it completed, and after its content was
/// erased.
pub fn result(run: &Run) -> Option<Value> {
    let definition = run.definition.as_ref().filter(|_| run.phase == Phase::Completed)?;
    Some(match &definition.work {
        Work::Sequential { task, .. } => sequential::result(definition, task, run),
        Work::Debate { topic, participants, rounds } => {
            debate::result(definition, (topic, *rounds), participants, run)
        }
        Work::Hierarchical { task, manager, workers } => {
            hierarchical::result(definition, (task, *manager, workers), run)
        }
        Work::Parallel { task, workers, aggregator, .. } => {
            parallel::result(definition, (task, workers, *aggregator), run)
        }
        Work::Routing { task, router, specialists } => {
            routing::result(definition, (task, *router, specialists), run)
        }
        Work::Design { .. } => design::result(run)?,
    })
}

/// The final text, where the pattern has one: synthesis, verdict, aggregate or last reply.
pub fn output(run: &Run) -> Option<&str> {
    let definition: &Definition = run.definition.as_ref()?;
    match definition.work {
        Work::Sequential { .. } => sequential::output(run),
        Work::Debate { .. } => debate::output(run),
        Work::Hierarchical { .. } => hierarchical::output(run),
        Work::Parallel { .. } => parallel::output(run),
        Work::Routing { .. } => routing::output(run),
        Work::Design { .. } => design::output(run),
    }
}

/// What to do with a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Complete the step with it.
    Use,
    /// It isn't in the required form: retry once, with this explanation in the prompt.
    Repair(String),
    /// It isn't in the required form for the second time, and the step has no fallback: it fails
    /// for this reason.
    Reject(String),
}

/// Judges a reply. A manager's or router's reply that is wrong twice is used all the same: their
/// plans have fallbacks.
pub fn judge(step: &Step, text: &str) -> Judgement {
    let checked = match step.planned.purpose {
        Purpose::Delegate => hierarchical::check(text),
        Purpose::Route => routing::check(text),
        Purpose::Design => design::check(text),
        Purpose::Turn
        | Purpose::Verdict
        | Purpose::Work
        | Purpose::Synthesize
        | Purpose::Aggregate => Ok(()),
    };
    match checked {
        Err(why) if !step.is_repaired => Judgement::Repair(why),
        Err(why) if step.planned.purpose == Purpose::Design => Judgement::Reject(why),
        Ok(()) | Err(_) => Judgement::Use,
    }
}

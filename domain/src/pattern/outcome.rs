//! The result of a run in the shape of the REST facade, its final text, and whether a reply can be
//! used.

use super::{debate, design, hierarchical, parallel, routing, sequential};
use crate::orchestration::{Definition, Phase, Purpose, Run, Step, Work};
use serde_json::Value;
use std::borrow::Cow;

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

/// The final text, where the pattern has one: synthesis, verdict, aggregate or last reply. Where the
/// parts could not be put together, all of them.
pub fn output(run: &Run) -> Option<Cow<'_, str>> {
    let definition: &Definition = run.definition.as_ref()?;
    match &definition.work {
        Work::Sequential { .. } => sequential::output(run).map(Cow::Borrowed),
        Work::Debate { .. } => debate::output(run).map(Cow::Borrowed),
        Work::Hierarchical { workers, .. } => hierarchical::output(definition, workers, run),
        Work::Parallel { .. } => parallel::output(definition, run),
        Work::Routing { .. } => routing::output(run).map(Cow::Borrowed),
        Work::Design { .. } => design::output(run).map(Cow::Borrowed),
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

/// What is wrong with a reply that has no text, in words for the model.
const NO_TEXT: &str = "the answer had no text: all of its room may have gone to thinking";

/// Judges a reply. A manager's or router's reply that is wrong twice is used all the same: their
/// plans have fallbacks.
pub fn judge(step: &Step, text: &str) -> Judgement {
    let checked = match step.planned.purpose {
        _ if text.trim().is_empty() => Err(NO_TEXT.to_owned()),
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
        Ok(()) => Judgement::Use,
        Err(why) if !step.is_repaired => Judgement::Repair(why),
        Err(_) if matches!(step.planned.purpose, Purpose::Delegate | Purpose::Route) => {
            Judgement::Use
        }
        Err(why) => Judgement::Reject(why),
    }
}

//! What a run does next: a function of its definition and its state alone, so that a process that
//! takes a run over continues as the one before would have.

use super::next::Plan;
use super::{debate, design, hierarchical, parallel, routing, sequential};
use crate::orchestration::{Run, Work};

/// What a run does next; nothing if its content was erased, and with it the definition.
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

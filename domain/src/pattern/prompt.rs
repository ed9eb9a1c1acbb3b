//! The prompts of a run. Their words are part of its record: [`RENDERER`] is stored with it, and
//! must be incremented when they change.

use super::message::Prompt;
use super::{debate, design, hierarchical, parallel, routing, sequential};
use crate::orchestration::{Block, Definition, Purpose, Run, Step, Work};

/// Version of the prompts' words.
pub const RENDERER: u32 = 1;

/// The prompt of a step; `None` for a run whose content was erased.
pub fn prompt(run: &Run, step: &Step) -> Option<Prompt> {
    let definition = run.definition.as_ref()?;
    let mut prompt = match &definition.work {
        Work::Sequential { task, .. } => sequential::prompt(definition, task, run, step),
        Work::Debate { topic, rounds, .. } => {
            debate::prompt(definition, (topic, *rounds), run, step)
        }
        Work::Hierarchical { task, workers, .. } => {
            hierarchical::prompt(definition, (task, workers), run, step)
        }
        Work::Parallel { task, .. } => parallel::prompt(definition, task, run, step),
        Work::Routing { task, specialists, .. } => {
            routing::prompt(definition, (task, specialists), step)
        }
        Work::Design { prompt, current } => design::prompt(prompt, current.as_ref()),
    };
    if step.is_repaired {
        let why = step.repair.as_deref().unwrap_or_default();
        let text = format!(
            "# Your last answer could not be used\n{why}\nAnswer again, in the form that is asked for and nothing else."
        );
        prompt.blocks.push(Block::Text { text });
    }
    Some(prompt)
}

/// The system prompt of a step's agent.
pub fn system_prompt(definition: &Definition, step: &Step) -> Option<String> {
    match step.planned.agent {
        Some(place) => definition
            .agent(place)
            .map(|agent| agent.system_prompt.clone())
            .filter(|text| !text.trim().is_empty()),
        None if step.planned.purpose == Purpose::Design => Some(design::SYSTEM_PROMPT.to_owned()),
        None => None,
    }
}

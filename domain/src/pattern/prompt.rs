//! The prompts of a run. Their words are part of its record: [`RENDERER`] is stored with it, and
//! must be incremented when they change.

use super::message::Prompt;
use super::{debate, design, hierarchical, parallel, routing, sequential};
use crate::orchestration::{Block, Definition, Purpose, Run, Step, Work};

/// Version of the prompts' words. A run keeps the words that it began with: see `quoted`.
pub const RENDERER: u32 = 2;

/// The first version that puts what another agent wrote between fences.
const FENCED: u32 = 2;

/// Shortest fence.
const FENCE_MIN: usize = 3;

/// What another agent wrote, as a part of a prompt: between two lines of backticks that are longer
/// than any row of backticks in it. So whatever it says, it can't end its part and speak as the
/// user or as another agent. The fence follows from the text alone: the prompt comes out the same
/// whenever it is rendered again.
pub(super) fn quoted(run: &Run, text: &str) -> String {
    if !is_fenced(run) {
        return text.to_owned();
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(FENCE_MIN.max(longest + 1));
    format!("{fence}\n{text}\n{fence}")
}

/// What another agent wrote, as a part of a heading: one line.
pub(super) fn on_one_line(run: &Run, text: &str) -> String {
    if is_fenced(run) {
        text.replace(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'), " ")
    } else {
        text.to_owned()
    }
}

fn is_fenced(run: &Run) -> bool {
    run.settings.as_ref().is_some_and(|settings| settings.renderer >= FENCED)
}

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

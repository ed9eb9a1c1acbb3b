//! What an agent is told. The words are part of a run's record: [`RENDERER`] is written into it, and counts up when they change.

use super::{debate, design, hierarchical, parallel, routing, sequential};
use crate::orchestration::{Block, Definition, Purpose, Run, Step, Work};
use serde_json::Value;

/// Version of the words.
pub const RENDERER: u32 = 1;

/// The one message of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What it says.
    pub blocks: Vec<Block>,
    /// JSON schema of the answer, where it must be JSON.
    pub schema: Option<Value>,
}

/// A labelled part of a message.
pub(super) struct Part {
    label: String,
    say: Say,
}

/// What stands under a label.
pub(super) enum Say {
    /// This.
    Text(String),
    /// One below another, each under its own label.
    Each(Vec<(String, String)>),
}

impl Part {
    pub(super) fn new(label: &str, say: Say) -> Self {
        Self { label: label.to_owned(), say }
    }
}

impl Prompt {
    /// Labelled parts, one below another.
    pub(super) fn of(parts: &[Part]) -> Self {
        let mut text = String::new();
        for part in parts {
            let begin = if text.is_empty() { "# " } else { "\n\n# " };
            text.push_str(begin);
            text.push_str(&part.label);
            match &part.say {
                Say::Text(said) => {
                    text.push('\n');
                    text.push_str(said);
                }
                Say::Each(all) => {
                    for (label, said) in all {
                        text.push_str("\n## ");
                        text.push_str(label);
                        text.push('\n');
                        text.push_str(said);
                    }
                }
            }
        }
        Self { blocks: vec![Block::Text { text }], schema: None }
    }

    /// As it is shown to people: see [`shown`].
    pub fn text(&self) -> String {
        shown(&self.blocks)
    }

    /// The same, to be answered by JSON of this schema.
    pub(super) fn answered_by(self, schema: Value) -> Self {
        Self { schema: Some(schema), ..self }
    }
}

/// Blocks as they are shown to people: a picture is a placeholder that names its type.
pub fn shown(blocks: &[Block]) -> String {
    let shown = blocks.iter().map(|block| match block {
        Block::Text { text } => text.clone(),
        Block::Image { media_type, .. } => format!("[picture: {media_type}]"),
    });
    shown.collect::<Vec<_>>().join("\n\n")
}

/// What the agent of a step is told; `None` for a run whose content was erased.
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

//! About how many bytes of memory a run and its messages take: bounds of memory count these.

use super::fold::RunFold;
use super::message::{Body, FeedMessage, RunRecord, RunView, StepText, StepView};
use claviger_domain::orchestration::{Block, Definition, Run, Step, Work};
use serde_json::Value;

/// Bytes of a step besides its texts.
const STEP: usize = 512;

/// Bytes of a message besides its content.
const MESSAGE: usize = 256;

/// Bytes of an event besides its texts.
const EVENT: usize = 1024;

/// Bytes of a value besides its text.
const VALUE: usize = 48;

impl RunView {
    /// About how many bytes the run takes.
    pub fn bytes(&self) -> usize {
        let Run { definition, steps, .. } = &self.run;
        let definition = definition.as_ref().map_or(0, definition_bytes);
        MESSAGE + definition + steps.iter().map(step_bytes).sum::<usize>()
    }
}

impl RunFold {
    /// About how many bytes the run and its partial texts take.
    pub fn bytes(&self) -> usize {
        self.view().bytes() + self.partial_bytes()
    }
}

impl RunRecord {
    /// About how many bytes the event takes, stored and decoded.
    pub fn bytes(&self) -> usize {
        EVENT
            + self.stored.facts.len()
            + 2 * self.stored.content.iter().map(Vec::len).sum::<usize>()
    }
}

impl FeedMessage {
    /// About how many bytes the message takes, with what it shares.
    pub fn bytes(&self) -> usize {
        MESSAGE
            + match &self.body {
                Body::Snapshot { view, partial } => view.bytes() + of_texts(partial),
                Body::Event { event, step } => {
                    event.bytes() + step.as_ref().map_or(0, |step| of_step_view(step))
                }
                Body::Delta(delta) => delta.text.len(),
                Body::AttemptSuperseded { .. } => 0,
                Body::Gap(texts) => of_texts(texts),
                Body::Terminal(view) => view.bytes(),
            }
    }
}

fn of_texts(texts: &[StepText]) -> usize {
    texts.iter().map(|text| STEP + text.text.len()).sum()
}

fn of_text(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

/// About how many bytes a step takes.
pub fn step_bytes(step: &Step) -> usize {
    let texts = [&step.reply, &step.repair, &step.trouble];
    STEP + texts.into_iter().map(|text| of_text(text.as_ref())).sum::<usize>()
}

fn of_step_view(step: &StepView) -> usize {
    step_bytes(&step.step) + of_text(step.agent.as_ref()) + of_text(step.told.as_ref())
}

/// About how many bytes a definition takes.
pub fn definition_bytes(definition: &Definition) -> usize {
    let agents = definition.agents.iter();
    let agents = agents.map(|agent| STEP + agent.name.len() + agent.system_prompt.len());
    let work = match &definition.work {
        Work::Sequential { task, .. } => task.iter().map(of_block).sum(),
        Work::Debate { topic: text, .. }
        | Work::Hierarchical { task: text, .. }
        | Work::Parallel { task: text, .. }
        | Work::Routing { task: text, .. } => text.len(),
        Work::Design { prompt, current } => prompt.len() + current.as_ref().map_or(0, of_value),
    };
    agents.sum::<usize>() + work
}

fn of_block(block: &Block) -> usize {
    match block {
        Block::Text { text } => text.len(),
        Block::Image { data, .. } => data.len(),
    }
}

/// Recursion is safe: the parser of JSON bounds the depth.
fn of_value(value: &Value) -> usize {
    VALUE
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(of_value).sum(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| VALUE + name.len() + of_value(value)).sum()
            }
        }
}

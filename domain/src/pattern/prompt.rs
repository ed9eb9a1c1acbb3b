//! The prompts of a run. Their words are part of its record: [`RENDERER`] is stored with it, and
//! must be incremented when they change.

use super::message::Prompt;
use super::{debate, design, hierarchical, parallel, routing, sequential};
use crate::orchestration::{Block, Definition, Purpose, Run, Step, Work};

/// Version of the prompts' words. A run keeps the words that it began with: see `quoted`.
pub const RENDERER: u32 = 3;

/// The first version that puts what another agent wrote between fences.
const FENCED: u32 = 2;

/// The first version that bounds what other agents wrote, wherever it is put into a prompt.
const BOUNDED: u32 = 3;

/// Most bytes of other agents' replies in a prompt, where they are put together or handed on. Beyond
/// them, the longest are shortened.
pub const REPLIES_MAX: usize = 256 * 1024;

/// How much more room a reply gets that is asked for again, because it could not be used: what was cut
/// would be cut again.
const MORE_ROOM: u32 = 4;

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

/// Replies as a prompt can hold them: all of them together have at most [`REPLIES_MAX`] bytes. The
/// longest are shortened to one length, so that short ones stay whole.
pub(super) fn fitting(run: &Run, mut replies: Vec<(String, String)>) -> Vec<(String, String)> {
    let is_bounded = run.settings.as_ref().is_some_and(|settings| settings.renderer >= BOUNDED);
    let mut lengths: Vec<_> = replies.iter().map(|(_, text)| text.len()).collect();
    if !is_bounded || lengths.iter().sum::<usize>() <= REPLIES_MAX {
        return replies;
    }
    lengths.sort_unstable();
    let (mut left, mut most) = (REPLIES_MAX, REPLIES_MAX);
    for (n, length) in lengths.iter().enumerate() {
        most = left / (lengths.len() - n);
        if *length > most {
            break;
        }
        left -= length;
    }
    for (_, text) in replies.iter_mut().filter(|(_, text)| text.len() > most) {
        *text = shortened(text, most);
    }
    replies
}

/// The beginning, without splitting a character, and how much is left out.
fn shortened(text: &str, most: usize) -> String {
    let mut keep = most.min(text.len());
    while !text.is_char_boundary(keep) {
        keep -= 1;
    }
    let (kept, left_out) = (text.get(..keep).unwrap_or_default(), text.len() - keep);
    format!("{kept}\n[shortened: {left_out} more bytes are left out]")
}

/// Most tokens of a step's next reply. A reply that is asked for again has more room than the one that
/// could not be used, as far as the model gives it.
pub fn room(step: &Step, most: Option<u32>) -> u32 {
    let planned = step.planned.max_tokens;
    if !step.is_repaired {
        return planned;
    }
    let wanted = planned.saturating_mul(MORE_ROOM);
    most.map_or(wanted, |most| wanted.min(most)).max(planned)
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

//! One agent after another: the first gets the task, each other agent the task and the whole reply
//! of the one before.

use super::message::{Body, Part, Prompt};
use super::next::{Plan, failed, one_each};
use super::prompt::{fitting, quoted};
use super::words::{cut, text_of};
use crate::orchestration::{Block, Definition, Purpose, Run, Step};
use serde_json::{Map, Value, json};

pub(super) fn plan(sequence: &[u32], run: &Run) -> Plan {
    if run.steps.is_empty() {
        return Plan::of(one_each(sequence, Purpose::Turn, None));
    }
    if let Some(step) = failed(run) {
        return Plan::failed_by(run.definition.as_ref(), step);
    }
    match run.steps.iter().find(|step| !step.is_completed()) {
        Some(next) => Plan::start([next]),
        None => Plan::done(),
    }
}

pub(super) fn prompt(definition: &Definition, task: &[Block], run: &Run, step: &Step) -> Prompt {
    let before = step
        .planned
        .item
        .checked_sub(1)
        .and_then(|item| run.steps.get(usize::try_from(item).ok()?));
    match before {
        None => Prompt { blocks: task.to_vec(), schema: None },
        Some(before) => {
            let name = before.planned.agent.map_or("", |place| definition.name(place));
            let reply = (String::new(), before.reply_text().to_owned());
            let reply: String =
                fitting(run, vec![reply]).into_iter().map(|(_, reply)| reply).collect();
            let parts = [
                Part::new("Task", Body::Text(text_of(task))),
                Part::new(
                    &format!("Reply of {name}, who worked on it before you"),
                    Body::Text(quoted(run, &reply)),
                ),
            ];
            Prompt::of(&parts)
        }
    }
}

pub(super) fn result(definition: &Definition, task: &[Block], run: &Run) -> Value {
    let name =
        |step: &Step| step.planned.agent.map_or("", |place| definition.name(place)).to_owned();
    let mut handed = text_of(task);
    let (mut steps, mut replies) = (Vec::new(), Map::new());
    for (n, step) in (1..).zip(&run.steps) {
        steps.push(json!({
            "step": n,
            "agent": name(step),
            "input": cut(&handed),
            "output": cut(step.reply_text()),
            "duration_ms": step.duration_ms.unwrap_or_default(),
        }));
        step.reply_text().clone_into(&mut handed);
        replies.insert(name(step), step.reply_text().into());
    }
    json!({
        "pattern": "sequential",
        "task": text_of(task),
        "agents": run.steps.iter().map(name).collect::<Vec<_>>(),
        "steps": steps,
        "final_result": output(run),
        "agent_results": replies,
    })
}

pub(super) fn output(run: &Run) -> Option<&str> {
    run.steps.last().filter(|step| step.is_completed()).map(Step::reply_text)
}

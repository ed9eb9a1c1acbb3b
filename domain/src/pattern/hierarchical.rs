//! A manager splits the task, workers do the parts in parallel, and the manager combines their
//! replies.

use super::message::{Body, Part, Prompt};
use super::next::{FallBack, NextStep, Plan, after_failure, as_they_are, failed, of, one_each};
use super::prompt::{fitting, on_one_line, quoted};
use super::structured::read;
use super::words::cut;
use crate::orchestration::{Definition, Fallback, Purpose, Run, Step};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Most parts of a plan; further parts are ignored.
const PARTS_MAX: usize = 100;

/// The manager's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Delegation {
    subtasks: Vec<Subtask>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Subtask {
    worker: String,
    task: String,
}

/// The parts that follow from the manager's reply.
struct Split {
    /// Worker, index in the manager's plan, and task (empty for the whole task).
    parts: Vec<(u32, u32, String)>,
    fallbacks: Vec<(Fallback, Option<String>)>,
}

pub(super) fn plan(definition: &Definition, manager: u32, workers: &[u32], run: &Run) -> Plan {
    if let Some(step) = failed(run) {
        return after_failure(run, step);
    }
    let Some(delegate) = of(run, Purpose::Delegate).next() else {
        return Plan::of(one_each(&[manager], Purpose::Delegate, None));
    };
    if !delegate.is_completed() {
        return Plan::start([delegate]);
    }
    let Some(synthesize) = of(run, Purpose::Synthesize).next() else {
        let split = split(definition, workers, delegate);
        let work = |(agent, item, _): &(u32, u32, String)| NextStep {
            agent: Some(*agent),
            purpose: Purpose::Work,
            round: None,
            item: *item,
        };
        let mut steps: Vec<_> = split.parts.iter().map(work).collect();
        steps.extend(one_each(&[manager], Purpose::Synthesize, None));
        let step = delegate.planned.step;
        let fallbacks = split
            .fallbacks
            .into_iter()
            .map(|(fallback, name)| FallBack { step, fallback, name })
            .collect();
        return Plan { fallbacks, ..Plan::of(steps) };
    };
    if of(run, Purpose::Work).all(Step::is_completed) {
        return if synthesize.is_completed() { Plan::done() } else { Plan::start([synthesize]) };
    }
    Plan::start(of(run, Purpose::Work))
}

/// The parts that follow from the manager's reply; a function of the reply alone.
fn split(definition: &Definition, workers: &[u32], delegate: &Step) -> Split {
    let whole = |fallback| {
        let parts =
            (0..).zip(workers).map(|(item, worker)| (*worker, item, String::new())).collect();
        Split { parts, fallbacks: vec![(fallback, None)] }
    };
    let Ok(found) = read::<Delegation>(delegate.reply.as_deref().unwrap_or_default()) else {
        return whole(Fallback::EveryWorker);
    };
    let mut fallbacks = Vec::new();
    if found.is_in_text {
        fallbacks.push((Fallback::JsonInText, None));
    }
    let mut parts = Vec::new();
    for (item, subtask) in (0..).zip(found.value.subtasks).take(PARTS_MAX) {
        match workers.iter().find(|place| definition.name(**place) == subtask.worker.trim()) {
            Some(worker) => parts.push((*worker, item, subtask.task)),
            None => fallbacks.push((Fallback::UnknownWorker, Some(subtask.worker))),
        }
    }
    if parts.is_empty() {
        let Split { parts, fallbacks: whole } = whole(Fallback::NoKnownWorker);
        fallbacks.extend(whole);
        return Split { parts, fallbacks };
    }
    Split { parts, fallbacks }
}

/// Why a reply of the manager isn't in the required form.
pub(super) fn check(text: &str) -> Result<(), String> {
    read::<Delegation>(text).map(drop)
}

pub(super) fn prompt(
    definition: &Definition,
    (task, workers): (&str, &[u32]),
    run: &Run,
    step: &Step,
) -> Prompt {
    let whole = Part::new("Task", Body::Text(task.to_owned()));
    match step.planned.purpose {
        Purpose::Delegate => {
            let about = |place: &u32| {
                let prompt = definition.agent(*place).map_or("", |agent| &agent.system_prompt);
                (definition.name(*place).to_owned(), cut(prompt))
            };
            let ask = "Split the task into parts, and give each to the worker who fits it best. A worker may get several parts or none.";
            let parts = [
                whole,
                Part::new("Your workers", Body::Each(workers.iter().map(about).collect())),
                Part::new("What to answer", Body::Text(ask.to_owned())),
            ];
            Prompt::of(&parts).answered_by(schema(definition, workers))
        }
        Purpose::Synthesize => {
            let replies = replies(definition, workers, run).collect();
            let replies = fitting(run, replies).into_iter();
            let replies = replies.map(|(label, reply)| (label, quoted(run, &reply)));
            let ask = "Put the workers' replies together into one answer to the task.";
            let parts = [
                whole,
                Part::new("Replies of your workers", Body::Each(replies.collect())),
                Part::new("What to answer", Body::Text(ask.to_owned())),
            ];
            Prompt::of(&parts)
        }
        Purpose::Turn
        | Purpose::Verdict
        | Purpose::Work
        | Purpose::Route
        | Purpose::Aggregate
        | Purpose::Design => match subtask(definition, workers, run, step) {
            Some(subtask) => {
                let parts = [
                    Part::new(
                        "The whole task, of which you do a part",
                        Body::Text(task.to_owned()),
                    ),
                    Part::new("Your part", Body::Text(quoted(run, &subtask))),
                ];
                Prompt::of(&parts)
            }
            None => Prompt::of(&[whole]),
        },
    }
}

fn schema(definition: &Definition, workers: &[u32]) -> Value {
    let names: Vec<_> = workers.iter().map(|place| definition.name(*place)).collect();
    json!({
        "type": "object",
        "properties": {
            "subtasks": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "worker": { "type": "string", "enum": names },
                        "task": { "type": "string" },
                    },
                    "required": ["worker", "task"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["subtasks"],
        "additionalProperties": false,
    })
}

/// The worker's part of the task; `None` if the worker gets the whole task.
fn subtask(definition: &Definition, workers: &[u32], run: &Run, step: &Step) -> Option<String> {
    let delegate = of(run, Purpose::Delegate).next()?;
    let parts = split(definition, workers, delegate).parts;
    let of_step = |part: &(u32, u32, String)| {
        Some(part.0) == step.planned.agent && part.1 == step.planned.item
    };
    parts.into_iter().find(of_step).map(|(_, _, task)| task).filter(|task| !task.is_empty())
}

/// The worker's name and the start of its part.
fn heading(definition: &Definition, workers: &[u32], run: &Run, step: &Step) -> String {
    let name = step.planned.agent.map_or("", |place| definition.name(place));
    match subtask(definition, workers, run, step) {
        Some(task) => format!("{name}, on: {}", on_one_line(run, &cut(&task))),
        None => name.to_owned(),
    }
}

pub(super) fn result(
    definition: &Definition,
    (task, manager, workers): (&str, u32, &[u32]),
    run: &Run,
) -> Value {
    let name =
        |step: &Step| step.planned.agent.map_or("", |place| definition.name(place)).to_owned();
    let delegate = of(run, Purpose::Delegate).next();
    let mut replies: Map<String, Value> = Map::new();
    let mut steps = Vec::new();
    for work in of(run, Purpose::Work) {
        steps.push(json!({
            "worker": name(work),
            "task": subtask(definition, workers, run, work).unwrap_or_else(|| task.to_owned()),
            "result": cut(work.reply_text()),
            "duration_ms": work.duration_ms.unwrap_or_default(),
        }));
        // The replies of a worker with several parts are joined.
        let text = match replies.get(&name(work)).and_then(Value::as_str) {
            Some(before) => format!("{before}\n\n{}", work.reply_text()),
            None => work.reply_text().to_owned(),
        };
        replies.insert(name(work), text.into());
    }
    let duration =
        |purpose| of(run, purpose).next().and_then(|step| step.duration_ms).unwrap_or_default();
    json!({
        "pattern": "hierarchical",
        "task": task,
        "manager": definition.name(manager),
        "workers": workers.iter().map(|place| definition.name(*place)).collect::<Vec<_>>(),
        "delegation": delegate.map(Step::reply_text),
        "delegation_duration_ms": duration(Purpose::Delegate),
        "worker_steps": steps,
        "worker_results": replies,
        "synthesis_duration_ms": duration(Purpose::Synthesize),
        "final_result": output(definition, workers, run),
    })
}

/// Each part of the work under its heading.
fn replies(
    definition: &Definition,
    workers: &[u32],
    run: &Run,
) -> impl Iterator<Item = (String, String)> {
    of(run, Purpose::Work)
        .map(move |work| (heading(definition, workers, run, work), work.reply_text().to_owned()))
}

pub(super) fn output<'a>(
    definition: &Definition,
    workers: &[u32],
    run: &'a Run,
) -> Option<Cow<'a, str>> {
    let step = of(run, Purpose::Synthesize).next()?;
    if run.fallbacks.contains(&(step.planned.step, Fallback::PartsAsTheyAre)) {
        return Some(Cow::Owned(as_they_are(replies(definition, workers, run))));
    }
    step.is_completed().then(|| Cow::Borrowed(step.reply_text()))
}

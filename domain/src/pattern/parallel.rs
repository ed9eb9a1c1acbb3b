//! All agents work on the same task at the same time; an aggregator may combine their replies.

use super::message::{Body, Part, Prompt};
use super::next::{End, Plan, after_failure, as_they_are, of, one_each};
use super::prompt::{fitting, quoted};
use crate::code::ErrorCode;
use crate::orchestration::{Definition, Fallback, OnFailure, Purpose, Run, Step, StepState};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

pub(super) fn plan(
    workers: &[u32],
    aggregator: Option<u32>,
    on_failure: OnFailure,
    run: &Run,
) -> Plan {
    if run.steps.is_empty() {
        let mut steps = one_each(workers, Purpose::Work, None);
        steps.extend(one_each(aggregator.as_slice(), Purpose::Aggregate, None));
        return Plan::of(steps);
    }
    let is_failed = |step: &&Step| matches!(step.state, StepState::Failed(_));
    if let Some(failed) = of(run, Purpose::Work).find(is_failed) {
        let lost = of(run, Purpose::Work).filter(is_failed).count();
        let left = workers.len().saturating_sub(lost);
        let needed = match on_failure {
            OnFailure::Fail => return Plan::failed_by(run.definition.as_ref(), failed),
            OnFailure::Continue => 1,
            OnFailure::Quorum(quorum) => usize::try_from(quorum).unwrap_or(usize::MAX),
        };
        if left < needed {
            let message = format!(
                "{lost} of {} agents failed, and {needed} must succeed: see the steps for why",
                workers.len()
            );
            let end =
                End::Failed { code: ErrorCode::Upstream, step: Some(failed.planned.step), message };
            return Plan { end: Some(end), ..Plan::default() };
        }
    }
    if !of(run, Purpose::Work).all(Step::is_settled) {
        return Plan::start(of(run, Purpose::Work));
    }
    match of(run, Purpose::Aggregate).next() {
        Some(step) if is_failed(&step) => after_failure(run, step),
        Some(step) if !step.is_completed() => Plan::start([step]),
        Some(_) | None => Plan::done(),
    }
}

pub(super) fn prompt(definition: &Definition, task: &str, run: &Run, step: &Step) -> Prompt {
    let whole = Part::new("Task", Body::Text(task.to_owned()));
    if step.planned.purpose != Purpose::Aggregate {
        return Prompt {
            blocks: vec![crate::orchestration::Block::Text { text: task.to_owned() }],
            schema: None,
        };
    }
    let replies = replies(definition, run).map(|(name, reply)| (name, reply.to_owned()));
    let replies = fitting(run, replies.collect()).into_iter();
    let replies = replies.map(|(name, reply)| (name, quoted(run, &reply)));
    let ask = "Put the replies together into one answer to the task.";
    let parts = [
        whole,
        Part::new("Replies to it", Body::Each(replies.collect())),
        Part::new("What to answer", Body::Text(ask.to_owned())),
    ];
    Prompt::of(&parts)
}

/// Name and reply of each agent that completed, in the order of the request.
fn replies<'a>(
    definition: &'a Definition,
    run: &'a Run,
) -> impl Iterator<Item = (String, &'a str)> {
    let done = of(run, Purpose::Work).filter(|step| step.is_completed());
    done.map(|step| {
        (
            step.planned.agent.map_or("", |place| definition.name(place)).to_owned(),
            step.reply_text(),
        )
    })
}

pub(super) fn result(
    definition: &Definition,
    (task, workers, aggregator): (&str, &[u32], Option<u32>),
    run: &Run,
) -> Value {
    let step = |step: &Step| {
        json!({
            "agent": step.planned.agent.map_or("", |place| definition.name(place)),
            "result": step.reply_text(),
            "duration_ms": step.duration_ms.unwrap_or_default(),
        })
    };
    let aggregate = of(run, Purpose::Aggregate).next();
    json!({
        "pattern": "parallel",
        "task": task,
        "agents": workers.iter().map(|place| definition.name(*place)).collect::<Vec<_>>(),
        "aggregator": aggregator.map(|place| definition.name(place)),
        "agent_steps": of(run, Purpose::Work).filter(|step| step.is_completed()).map(step).collect::<Vec<_>>(),
        "individual_results": replies(definition, run).map(|(name, reply)| (name, reply.into())).collect::<Map<_, _>>(),
        "aggregated_result": output(definition, run),
        "aggregation_duration_ms": aggregate.and_then(|step| step.duration_ms),
    })
}

pub(super) fn output<'a>(definition: &Definition, run: &'a Run) -> Option<Cow<'a, str>> {
    let step = of(run, Purpose::Aggregate).next()?;
    if run.fallbacks.contains(&(step.planned.step, Fallback::PartsAsTheyAre)) {
        let parts = replies(definition, run).map(|(name, reply)| (name, reply.to_owned()));
        return Some(Cow::Owned(as_they_are(parts)));
    }
    step.is_completed().then(|| Cow::Borrowed(step.reply_text()))
}

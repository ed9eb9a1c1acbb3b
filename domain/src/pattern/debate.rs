//! A debate in rounds: each speaker gets the topic, the round and the statements so far. Moderators
//! speak last in each round, and the last of them gives the verdict at the end.

use super::message::{Body, Part, Prompt};
use super::next::{NextStep, Plan, failed};
use super::prompt::quoted;
use super::words::cut;
use crate::orchestration::{AgentRole, Definition, Purpose, Run, Step};
use serde_json::{Value, json};

/// Most bytes of earlier statements in a prompt. Beyond them, the oldest statements are shortened
/// first.
pub const HISTORY_MAX: usize = 128 * 1024;

pub(super) fn plan(definition: &Definition, participants: &[u32], rounds: u32, run: &Run) -> Plan {
    if let Some(step) = failed(run) {
        return Plan::failed_by(run.definition.as_ref(), step);
    }
    if let Some(next) = run.steps.iter().find(|step| !step.is_completed()) {
        return Plan::start([next]);
    }
    let round = run.steps.last().and_then(|step| step.planned.round).unwrap_or(0) + 1;
    if round > rounds {
        return Plan::done();
    }
    let order = speakers(definition, participants);
    let verdict =
        order.last().copied().filter(|place| round == rounds && moderates(definition, *place));
    let step = |(item, agent): (u32, &u32)| {
        let purpose = if verdict == Some(*agent) { Purpose::Verdict } else { Purpose::Turn };
        NextStep { agent: Some(*agent), purpose, round: Some(round), item }
    };
    Plan::of((0..).zip(&order).map(step).collect())
}

fn moderates(definition: &Definition, place: u32) -> bool {
    definition.agent(place).is_some_and(|agent| agent.role == AgentRole::Moderator)
}

/// The participants as named, but moderators last.
fn speakers(definition: &Definition, participants: &[u32]) -> Vec<u32> {
    let (last, first): (Vec<_>, Vec<_>) =
        participants.iter().copied().partition(|place| moderates(definition, *place));
    first.into_iter().chain(last).collect()
}

pub(super) fn prompt(
    definition: &Definition,
    (topic, rounds): (&str, u32),
    run: &Run,
    step: &Step,
) -> Prompt {
    let round = step.planned.round.unwrap_or(1);
    let is_moderator = step.planned.agent.is_some_and(|place| moderates(definition, place));
    // Only statements before the step, so that its prompt can be rendered again later and comes out
    // the same.
    let before = run.steps.iter().take_while(|other| other.planned.step != step.planned.step);
    // A moderator weighs this round; the others answer all statements so far.
    let before = before.filter(|other| {
        other.is_completed() && (!is_moderator || other.planned.round == Some(round))
    });
    let name =
        |other: &Step| other.planned.agent.map_or("", |place| definition.name(place)).to_owned();
    let history: Vec<_> = before
        .map(|other| {
            let label = format!("{}, round {}", name(other), other.planned.round.unwrap_or(1));
            (label, other.reply_text().to_owned())
        })
        .collect();
    let task = match (step.planned.purpose, is_moderator) {
        (Purpose::Verdict, _) => {
            "You moderate, and this is the end of the debate. Weigh what was said and give your verdict."
        }
        (_, true) => {
            "You moderate. Weigh the arguments of this round and say what the next one should settle."
        }
        (_, false) if history.is_empty() => {
            "You open the debate. State your position and your reasons."
        }
        (_, false) => "Answer what was said, and state your position in this round.",
    };
    let mut parts = vec![
        Part::new("Topic", Body::Text(topic.to_owned())),
        Part::new(&format!("Round {round} of {rounds}"), Body::Text(task.to_owned())),
    ];
    if !history.is_empty() {
        let history = bounded(history, HISTORY_MAX).into_iter();
        let history = history.map(|(label, statement)| (label, quoted(run, &statement)));
        parts.push(Part::new("Said so far", Body::Each(history.collect())));
    }
    Prompt::of(&parts)
}

/// Shortens the oldest statements, as few as necessary, until all together fit or all are
/// shortened.
fn bounded(mut history: Vec<(String, String)>, max_bytes: usize) -> Vec<(String, String)> {
    let mut bytes: usize = history.iter().map(|(_, statement)| statement.len()).sum();
    for (_, statement) in &mut history {
        if bytes <= max_bytes {
            break;
        }
        bytes -= statement.len();
        *statement = cut(statement);
        bytes += statement.len();
    }
    history
}

pub(super) fn result(
    definition: &Definition,
    (topic, rounds): (&str, u32),
    participants: &[u32],
    run: &Run,
) -> Value {
    let statement = |step: &Step| {
        json!({
            "round": step.planned.round,
            "agent": step.planned.agent.map_or("", |place| definition.name(place)),
            "statement": step.reply_text(),
            "duration_ms": step.duration_ms.unwrap_or_default(),
        })
    };
    json!({
        "pattern": "debate",
        "topic": topic,
        "participants": participants.iter().map(|place| definition.name(*place)).collect::<Vec<_>>(),
        "rounds": rounds,
        "debate_history": run.steps.iter().filter(|step| step.is_completed()).map(statement).collect::<Vec<_>>(),
        "final_result": output(run),
    })
}

pub(super) fn output(run: &Run) -> Option<&str> {
    run.steps
        .last()
        .filter(|step| step.planned.purpose == Purpose::Verdict && step.is_completed())
        .map(Step::reply_text)
}

//! In rounds: each speaker gets the topic, the round and what was said so far; moderators speak last, and the last of them has the last
//! word, the verdict.

use super::plan::{NextStep, Plan, failed};
use super::prompt::{Part, Prompt, Say};
use super::words::cut;
use crate::orchestration::{AgentRole, Definition, Purpose, Run, Step};
use serde_json::{Value, json};

/// Bytes of what was said so far that a speaker gets. Beyond, the oldest statements are cut first.
pub const HEARD_MAX: usize = 128 * 1024;

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

/// Moderators last, else as named.
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
    // The same whenever it is asked, so that it can be shown later: what came after the step was not heard.
    let before = run.steps.iter().take_while(|said| said.planned.step != step.planned.step);
    // A moderator weighs this round; the others answer everything.
    let heard = before
        .filter(|said| said.is_completed() && (!is_moderator || said.planned.round == Some(round)));
    let name =
        |said: &Step| said.planned.agent.map_or("", |place| definition.name(place)).to_owned();
    let heard: Vec<_> = heard
        .map(|said| {
            (
                format!("{}, round {}", name(said), said.planned.round.unwrap_or(1)),
                said.said().to_owned(),
            )
        })
        .collect();
    let task = match (step.planned.purpose, is_moderator) {
        (Purpose::Verdict, _) => {
            "You moderate, and this is the end of the debate. Weigh what was said and give your verdict."
        }
        (_, true) => {
            "You moderate. Weigh the arguments of this round and say what the next one should settle."
        }
        (_, false) if heard.is_empty() => {
            "You open the debate. State your position and your reasons."
        }
        (_, false) => "Answer what was said, and state your position in this round.",
    };
    let mut parts = vec![
        Part::new("Topic", Say::Text(topic.to_owned())),
        Part::new(&format!("Round {round} of {rounds}"), Say::Text(task.to_owned())),
    ];
    if !heard.is_empty() {
        parts.push(Part::new("Said so far", Say::Each(bounded(heard, HEARD_MAX))));
    }
    Prompt::of(&parts)
}

/// Cuts the oldest statements, as few as it takes, until all together are short enough or all are cut.
fn bounded(mut heard: Vec<(String, String)>, most: usize) -> Vec<(String, String)> {
    let mut bytes: usize = heard.iter().map(|(_, said)| said.len()).sum();
    for (_, said) in &mut heard {
        if bytes <= most {
            break;
        }
        bytes -= said.len();
        *said = cut(said);
        bytes += said.len();
    }
    heard
}

pub(super) fn result(
    definition: &Definition,
    (topic, rounds): (&str, u32),
    participants: &[u32],
    run: &Run,
) -> Value {
    let said = |step: &Step| {
        json!({
            "round": step.planned.round,
            "agent": step.planned.agent.map_or("", |place| definition.name(place)),
            "statement": step.said(),
            "duration_ms": step.duration_ms.unwrap_or_default(),
        })
    };
    json!({
        "pattern": "debate",
        "topic": topic,
        "participants": participants.iter().map(|place| definition.name(*place)).collect::<Vec<_>>(),
        "rounds": rounds,
        "debate_history": run.steps.iter().filter(|step| step.is_completed()).map(said).collect::<Vec<_>>(),
        "final_result": output(run),
    })
}

pub(super) fn output(run: &Run) -> Option<&str> {
    run.steps
        .last()
        .filter(|step| step.planned.purpose == Purpose::Verdict && step.is_completed())
        .map(Step::said)
}

//! A router chooses among specialists; those chosen work in parallel.

use super::message::{Body, Part, Prompt};
use super::next::{FallBack, Plan, failed, of, one_each};
use super::structured::read;
use super::words::cut;
use crate::orchestration::{Block, Definition, Fallback, Purpose, Run, Step};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Most names of a choice; further names are ignored.
const CHOICES_MAX: usize = 100;

/// The router's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Choice {
    selected_agents: Vec<String>,
    #[serde(default)]
    reasoning: String,
}

/// The specialists that follow from the router's reply.
struct Chosen {
    specialists: Vec<u32>,
    reasoning: String,
    fallbacks: Vec<(Fallback, Option<String>)>,
}

pub(super) fn plan(definition: &Definition, router: u32, specialists: &[u32], run: &Run) -> Plan {
    if let Some(step) = failed(run) {
        return Plan::failed_by(run.definition.as_ref(), step);
    }
    let Some(route) = of(run, Purpose::Route).next() else {
        return Plan::of(one_each(&[router], Purpose::Route, None));
    };
    if !route.is_completed() {
        return Plan::start([route]);
    }
    if of(run, Purpose::Work).next().is_none() {
        let chosen = choose(definition, specialists, route);
        let step = route.planned.step;
        let fallbacks = chosen
            .fallbacks
            .into_iter()
            .map(|(fallback, name)| FallBack { step, fallback, name })
            .collect();
        return Plan { fallbacks, ..Plan::of(one_each(&chosen.specialists, Purpose::Work, None)) };
    }
    if of(run, Purpose::Work).all(Step::is_completed) {
        Plan::done()
    } else {
        Plan::start(of(run, Purpose::Work))
    }
}

/// The specialists that follow from the router's reply; a function of the reply alone.
fn choose(definition: &Definition, specialists: &[u32], route: &Step) -> Chosen {
    let first: Vec<_> = specialists.iter().copied().take(1).collect();
    let Ok(found) = read::<Choice>(route.reply.as_deref().unwrap_or_default()) else {
        return Chosen {
            specialists: first,
            reasoning: String::new(),
            fallbacks: vec![(Fallback::FirstSpecialist, None)],
        };
    };
    let mut fallbacks = Vec::new();
    if found.is_in_text {
        fallbacks.push((Fallback::JsonInText, None));
    }
    let mut chosen = Vec::new();
    for name in found.value.selected_agents.into_iter().take(CHOICES_MAX) {
        match specialists.iter().find(|place| definition.name(**place) == name.trim()) {
            Some(place) if chosen.contains(place) => {}
            Some(place) => chosen.push(*place),
            // An unknown name is recorded once, however often the reply repeats it.
            None if fallbacks.iter().any(|(_, known)| known.as_ref() == Some(&name)) => {}
            None => fallbacks.push((Fallback::UnknownSpecialist, Some(name))),
        }
    }
    if chosen.is_empty() {
        fallbacks.push((Fallback::NoKnownSpecialist, None));
        chosen = first;
    }
    Chosen { specialists: chosen, reasoning: found.value.reasoning, fallbacks }
}

/// Why a reply of the router isn't in the required form.
pub(super) fn check(text: &str) -> Result<(), String> {
    read::<Choice>(text).map(drop)
}

pub(super) fn prompt(
    definition: &Definition,
    (task, specialists): (&str, &[u32]),
    step: &Step,
) -> Prompt {
    if step.planned.purpose != Purpose::Route {
        return Prompt { blocks: vec![Block::Text { text: task.to_owned() }], schema: None };
    }
    let about = |place: &u32| {
        let prompt = definition.agent(*place).map_or("", |agent| &agent.system_prompt);
        (definition.name(*place).to_owned(), cut(prompt))
    };
    let ask = "Choose the specialists who should work on the task, one or more, and say why.";
    let parts = [
        Part::new("Task", Body::Text(task.to_owned())),
        Part::new("Specialists", Body::Each(specialists.iter().map(about).collect())),
        Part::new("What to answer", Body::Text(ask.to_owned())),
    ];
    let names: Vec<_> = specialists.iter().map(|place| definition.name(*place)).collect();
    Prompt::of(&parts).answered_by(json!({
        "type": "object",
        "properties": {
            "selected_agents": { "type": "array", "items": { "type": "string", "enum": names } },
            "reasoning": { "type": "string" },
        },
        "required": ["selected_agents", "reasoning"],
        "additionalProperties": false,
    }))
}

pub(super) fn result(
    definition: &Definition,
    (task, router, specialists): (&str, u32, &[u32]),
    run: &Run,
) -> Value {
    let name =
        |step: &Step| step.planned.agent.map_or("", |place| definition.name(place)).to_owned();
    let route = of(run, Purpose::Route).next();
    let chosen =
        route.filter(|step| step.is_completed()).map(|step| choose(definition, specialists, step));
    let step = |step: &Step| {
        json!({
            "agent": name(step),
            "result": cut(step.reply_text()),
            "duration_ms": step.duration_ms.unwrap_or_default(),
        })
    };
    let done = || of(run, Purpose::Work).filter(|step| step.is_completed());
    let selected: Vec<_> = chosen
        .iter()
        .flat_map(|chosen| &chosen.specialists)
        .map(|place| definition.name(*place))
        .collect();
    json!({
        "pattern": "dynamic_routing",
        "task": task,
        "router": definition.name(router),
        "available_specialists": specialists.iter().map(|place| definition.name(*place)).collect::<Vec<_>>(),
        "routing_decision": route.map(Step::reply_text),
        "selected_agents": selected,
        "reasoning": chosen.as_ref().map(|chosen| chosen.reasoning.as_str()),
        "routing_duration_ms": route.and_then(|step| step.duration_ms).unwrap_or_default(),
        "execution_steps": done().map(step).collect::<Vec<_>>(),
        "results": done().map(|step| (name(step), step.reply_text().into())).collect::<Map<_, _>>(),
    })
}

/// The reply of the only specialist; `None` if there are several.
pub(super) fn output(run: &Run) -> Option<&str> {
    let mut work = of(run, Purpose::Work);
    match (work.next(), work.next()) {
        (Some(only), None) if only.is_completed() => Some(only.reply_text()),
        _ => None,
    }
}

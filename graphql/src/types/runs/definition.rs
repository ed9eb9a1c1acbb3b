//! The definition of an orchestration in the form of the input that requests it, so that it can be
//! sent again.

use claviger_domain::orchestration::{Agent, Definition, OnFailure, Work};
use claviger_domain::pattern::shown;
use serde_json::{Map, Value, json};

/// A definition in the shape of `PatternInput`.
pub(super) fn pattern_input(definition: &Definition) -> Value {
    let agents =
        |places: &[u32]| places.iter().map(|place| agent(definition, *place)).collect::<Vec<_>>();
    let names =
        |places: &[u32]| places.iter().map(|place| definition.name(*place)).collect::<Vec<_>>();
    let all = || definition.agents.iter().map(agent_input).collect::<Vec<_>>();
    match &definition.work {
        Work::Sequential { task, sequence } => {
            json!({ "sequential": { "task": shown(task), "agents": all(), "sequence": names(sequence) } })
        }
        Work::Debate { topic, participants, rounds } => {
            json!({ "debate": { "topic": topic, "agents": all(), "participants": names(participants), "rounds": rounds } })
        }
        Work::Hierarchical { task, manager, workers } => {
            json!({ "hierarchical": { "task": task, "manager": agent(definition, *manager), "workers": agents(workers) } })
        }
        Work::Parallel { task, workers, aggregator, on_failure } => {
            let mut input = Map::new();
            input.insert("task".to_owned(), json!(task));
            input.insert("agents".to_owned(), json!(agents(workers)));
            if let Some(aggregator) = aggregator {
                input.insert("aggregator".to_owned(), agent(definition, *aggregator));
            }
            let (policy, quorum) = match on_failure {
                OnFailure::Fail => ("FAIL", None),
                OnFailure::Continue => ("CONTINUE", None),
                OnFailure::Quorum(quorum) => ("QUORUM", Some(*quorum)),
            };
            input.insert("onFailure".to_owned(), json!(policy));
            if let Some(quorum) = quorum {
                input.insert("quorum".to_owned(), json!(quorum));
            }
            json!({ "parallel": input })
        }
        Work::Routing { task, router, specialists } => {
            json!({ "routing": { "task": task, "router": agent(definition, *router), "specialists": agents(specialists) } })
        }
        Work::Design { prompt, current } => match current {
            Some(current) => json!({ "design": { "prompt": prompt, "currentDesign": current } }),
            None => json!({ "design": { "prompt": prompt } }),
        },
    }
}

fn agent(definition: &Definition, place: u32) -> Value {
    definition.agent(place).map_or(Value::Null, agent_input)
}

fn agent_input(agent: &Agent) -> Value {
    let mut input = Map::new();
    input.insert("name".to_owned(), json!(agent.name));
    input.insert("systemPrompt".to_owned(), json!(agent.system_prompt));
    input.insert("role".to_owned(), json!(agent.role.as_str().to_ascii_uppercase()));
    if let Some(model) = &agent.model {
        input.insert("model".to_owned(), json!(model));
    }
    if let Some(max_tokens) = agent.max_tokens {
        input.insert("maxTokens".to_owned(), json!(max_tokens));
    }
    Value::Object(input)
}

//! One call whose answer is a design: blocks of agents, and connections between them. An answer
//! that isn't a valid design is retried once.

use super::message::{Body, Part, Prompt};
use super::next::{FallBack, NextStep, Plan, failed};
use super::structured::read;
use crate::orchestration::{Fallback, Purpose, Run, Step};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};

/// The system prompt of the one call. Part of the words that [`super::RENDERER`] numbers.
pub(super) const SYSTEM_PROMPT: &str = "You design orchestrations of AI agents. A design has blocks, each a team of agents that works in one \
     pattern, and connections that hand results on. You answer with the design as JSON and nothing else.";

/// Most faults of a design that are reported to the model.
const FAULTS_MAX: usize = 10;

#[derive(Debug, Serialize, Deserialize)]
struct Design {
    name: String,
    description: String,
    blocks: Vec<DesignBlock>,
    connections: Vec<Connection>,
}

#[derive(Debug, Serialize, Deserialize)]
struct DesignBlock {
    id: String,
    #[serde(rename = "type")]
    kind: BlockKind,
    #[serde(default)]
    position: Position,
    data: BlockData,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BlockKind {
    Sequential,
    Parallel,
    Hierarchical,
    Debate,
    Routing,
    Reflection,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Position {
    x: f64,
    y: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct BlockData {
    label: String,
    #[serde(default)]
    agents: Vec<Map<String, Value>>,
    #[serde(default)]
    task: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rounds: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    id: String,
    source: String,
    target: String,
    #[serde(rename = "type")]
    kind: ConnectionKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_agent: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ConnectionKind {
    Block,
    Agent,
}

pub(super) fn plan(run: &Run) -> Plan {
    if let Some(step) = failed(run) {
        return Plan::failed_by(run.definition.as_ref(), step);
    }
    match run.steps.first() {
        None => {
            let step = NextStep { agent: None, purpose: Purpose::Design, round: None, item: 0 };
            Plan::of(vec![step])
        }
        Some(step) if step.is_completed() => {
            let step_id = step.planned.step;
            let is_in_text = read::<Design>(step.reply.as_deref().unwrap_or_default())
                .is_ok_and(|found| found.is_in_text);
            if is_in_text && !run.fallbacks.contains(&(step_id, Fallback::JsonInText)) {
                let fallback =
                    FallBack { step: step_id, fallback: Fallback::JsonInText, name: None };
                return Plan { fallbacks: vec![fallback], ..Plan::default() };
            }
            Plan::done()
        }
        Some(step) => Plan::start([step]),
    }
}

pub(super) fn prompt(wanted: &str, current: Option<&Value>) -> Prompt {
    let mut parts = vec![Part::new("What is wanted", Body::Text(wanted.to_owned()))];
    if let Some(current) = current {
        parts.push(Part::new(
            "The design there is, which you improve",
            Body::Text(current.to_string()),
        ));
    }
    let ask = "The design. Give each block an id, a pattern, a label, its agents and its task; the first block at 50,50, each further one 400 to \
               the right, branches 200 apart. Connect blocks by their ids, or agents of two blocks by their names.";
    parts.push(Part::new("What to answer", Body::Text(ask.to_owned())));
    Prompt::of(&parts).answered_by(schema())
}

/// Why an answer isn't a valid design, in words for the model.
pub(super) fn check(text: &str) -> Result<(), String> {
    let design = read::<Design>(text)?.value;
    let wrong = faults(&design);
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.into_iter().take(FAULTS_MAX).collect::<Vec<_>>().join("\n"))
    }
}

fn faults(design: &Design) -> Vec<String> {
    let mut wrong = Vec::new();
    if design.blocks.is_empty() {
        wrong.push("there are no blocks".to_owned());
    }
    let mut blocks: HashMap<&str, HashSet<&str>> = HashMap::new();
    for block in &design.blocks {
        let mut names = HashSet::new();
        for agent in &block.data.agents {
            match agent.get("name").and_then(Value::as_str).filter(|name| !name.trim().is_empty()) {
                None => wrong.push(format!("an agent of the block {:?} has no name", block.id)),
                Some(name) if !names.insert(name) => {
                    wrong.push(format!(
                        "two agents of the block {:?} are called {name:?}",
                        block.id
                    ));
                }
                Some(_) => {}
            }
        }
        if blocks.insert(&block.id, names).is_some() {
            wrong.push(format!("two blocks have the id {:?}", block.id));
        }
    }
    let mut ids = HashSet::new();
    for connection in &design.connections {
        if !ids.insert(connection.id.as_str()) {
            wrong.push(format!("two connections have the id {:?}", connection.id));
        }
        let ends = [
            (&connection.source, &connection.source_agent),
            (&connection.target, &connection.target_agent),
        ];
        for (block, agent) in ends {
            let Some(names) = blocks.get(block.as_str()) else {
                wrong.push(format!(
                    "the connection {:?} names the block {block:?}, which does not exist",
                    connection.id
                ));
                continue;
            };
            let missing = match (connection.kind, agent) {
                (ConnectionKind::Agent, Some(agent)) => !names.contains(agent.as_str()),
                (ConnectionKind::Agent, None) => true,
                (ConnectionKind::Block, _) => false,
            };
            if missing {
                wrong.push(format!(
                    "the connection {:?} must name an agent of the block {block:?}",
                    connection.id
                ));
            }
        }
    }
    wrong
}

/// The design as JSON; `None` before the step completed.
pub(super) fn result(run: &Run) -> Option<Value> {
    let reply = run.steps.first().filter(|step| step.is_completed())?.reply.as_deref()?;
    serde_json::to_value(read::<Design>(reply).ok()?.value).ok()
}

pub(super) fn output(run: &Run) -> Option<&str> {
    run.steps.first().filter(|step| step.is_completed()).map(Step::reply_text)
}

fn schema() -> Value {
    let text = || json!({ "type": "string" });
    let object = |properties: Value, required: &[&str]| json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    let roles = ["manager", "worker", "specialist", "moderator", "reflector"];
    let agent = object(
        json!({ "name": text(), "system_prompt": text(), "role": { "type": "string", "enum": roles } }),
        &["name", "system_prompt", "role"],
    );
    let number = || json!({ "type": "number" });
    let data = object(
        json!({
            "label": text(),
            "agents": { "type": "array", "items": agent },
            "task": text(),
            "rounds": { "type": "integer" },
        }),
        &["label", "agents", "task"],
    );
    let kinds = ["sequential", "parallel", "hierarchical", "debate", "routing", "reflection"];
    let block = object(
        json!({
            "id": text(),
            "type": { "type": "string", "enum": kinds },
            "position": object(json!({ "x": number(), "y": number() }), &["x", "y"]),
            "data": data,
        }),
        &["id", "type", "position", "data"],
    );
    let connection = object(
        json!({
            "id": text(),
            "source": text(),
            "target": text(),
            "type": { "type": "string", "enum": ["block", "agent"] },
            "sourceAgent": text(),
            "targetAgent": text(),
        }),
        &["id", "source", "target", "type"],
    );
    object(
        json!({
            "name": text(),
            "description": text(),
            "blocks": { "type": "array", "items": block },
            "connections": { "type": "array", "items": connection },
        }),
        &["name", "description", "blocks", "connections"],
    )
}

//! The bodies of the orchestration endpoints.

use super::input::Fields;
use super::problem::Refusal;
use axum::http::StatusCode;
use claviger_domain::orchestration::{AgentDraft, AgentRole, Block, Draft, OnFailure};
use serde_json::{Value, json};

/// What may be orchestrated at this face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Sequential,
    Debate,
    Hierarchical,
    Parallel,
    Routing,
    Design,
}

const ROUNDS: u32 = 3;
const ROLES: [AgentRole; 5] = [
    AgentRole::Manager,
    AgentRole::Worker,
    AgentRole::Specialist,
    AgentRole::Moderator,
    AgentRole::Reflector,
];

impl Shape {
    /// Reads the draft. Faults are in the fields; what is right in form and not offered is refused.
    pub(super) fn draft(self, fields: &mut Fields) -> Result<Draft, Refusal> {
        interactive(fields, "git_repo", "git_repo")?;
        match self {
            Self::Sequential => sequential(fields),
            Self::Debate => Ok(Draft::Debate {
                topic: fields.text("topic"),
                agents: agents(fields, "agents")?,
                participants: fields.maybe_texts("participant_names"),
                rounds: fields.maybe_whole("rounds").unwrap_or(ROUNDS),
            }),
            Self::Hierarchical => Ok(Draft::Hierarchical {
                task: fields.text("task"),
                manager: one(fields, "manager")?,
                workers: agents(fields, "workers")?,
                worker_names: fields.maybe_texts("worker_names"),
            }),
            Self::Parallel => parallel(fields),
            Self::Routing => Ok(Draft::Routing {
                task: fields.text("task"),
                router: one(fields, "router")?,
                specialists: agents(fields, "specialists")?,
                specialist_names: fields.maybe_texts("specialist_names"),
            }),
            Self::Design => design(fields),
        }
    }
}

fn sequential(fields: &mut Fields) -> Result<Draft, Refusal> {
    let content = fields.maybe_list("task_content");
    let task = match content {
        Some(blocks) => {
            // Preferred, so the plain task is not needed.
            drop(fields.maybe_text("task"));
            let each = blocks.into_iter().enumerate();
            each.filter_map(|(place, value)| {
                fields.inside(&[json!("task_content"), json!(place)], value, block).flatten()
            })
            .collect()
        }
        None => vec![Block::Text { text: fields.text("task") }],
    };
    Ok(Draft::Sequential {
        task,
        agents: agents(fields, "agents")?,
        sequence: fields.maybe_texts("agent_sequence"),
    })
}

/// A block as Anthropic's API has it.
fn block(fields: &mut Fields) -> Option<Block> {
    let kind = fields.text("type");
    match kind.as_str() {
        "text" => Some(Block::Text { text: fields.text("text") }),
        "image" => fields.object("source", |source| {
            if source.text("type") != "base64" {
                let input = Value::Null;
                source.refuse("type", "Input should be 'base64'", input);
            }
            Block::Image { media_type: source.text("media_type"), data: source.text("data") }
        }),
        other => {
            fields.refuse("type", "Input should be 'text' or 'image'", json!(other));
            None
        }
    }
}

fn parallel(fields: &mut Fields) -> Result<Draft, Refusal> {
    let aggregator =
        if fields.is_given("aggregator") { Some(one(fields, "aggregator")?) } else { None };
    if let Some(name) = fields.maybe_text("aggregator_name") {
        let is_known = aggregator.as_ref().is_some_and(|known| known.name.trim() == name.trim());
        if !is_known {
            let message = "aggregator_name must be the name of the aggregator in this request";
            return Err(Refusal::said(StatusCode::BAD_REQUEST, message));
        }
    }
    Ok(Draft::Parallel {
        task: fields.text("task"),
        agents: agents(fields, "agents")?,
        agent_names: fields.maybe_texts("agent_names"),
        aggregator,
        on_failure: on_failure(fields),
    })
}

/// `fail`, `continue` or `quorum(n)`.
fn on_failure(fields: &mut Fields) -> OnFailure {
    let Some(text) = fields.maybe_text("failure") else { return OnFailure::Fail };
    let quorum = text.strip_prefix("quorum(").and_then(|rest| rest.strip_suffix(')'));
    match (text.as_str(), quorum.and_then(|count| count.trim().parse().ok())) {
        ("fail", _) => OnFailure::Fail,
        ("continue", _) => OnFailure::Continue,
        (_, Some(count)) => OnFailure::Quorum(count),
        _ => {
            let msg = "Input should be 'fail', 'continue' or 'quorum(n)'";
            fields.refuse("failure", msg, json!(text));
            OnFailure::Fail
        }
    }
}

fn design(fields: &mut Fields) -> Result<Draft, Refusal> {
    let mode = fields.maybe_text("mode");
    let current = fields.maybe_object("current_design");
    let current = match mode.as_deref() {
        None => current,
        Some("create") => None,
        Some("improve") if current.is_some() => current,
        Some("improve") => {
            let message = "mode improve needs current_design: the design to improve";
            return Err(Refusal::said(StatusCode::BAD_REQUEST, message));
        }
        Some(other) => {
            fields.refuse("mode", "Input should be 'create' or 'improve'", json!(other));
            None
        }
    };
    Ok(Draft::Design { prompt: fields.text("prompt"), current })
}

fn agents(fields: &mut Fields, name: &str) -> Result<Vec<AgentDraft>, Refusal> {
    fields.objects(name, agent).into_iter().collect()
}

fn one(fields: &mut Fields, name: &str) -> Result<AgentDraft, Refusal> {
    fields.object(name, agent).unwrap_or_else(|| Ok(AgentDraft::default()))
}

fn agent(fields: &mut Fields) -> Result<AgentDraft, Refusal> {
    if fields.maybe_flag("use_tools") == Some(true) {
        return Err(interactive_only("use_tools: true"));
    }
    Ok(AgentDraft {
        name: fields.text("name"),
        system_prompt: fields.text("system_prompt"),
        role: role(fields),
        model: fields.maybe_text("model"),
        max_tokens: fields.maybe_whole("max_tokens"),
    })
}

fn role(fields: &mut Fields) -> AgentRole {
    let Some(text) = fields.maybe_text("role") else { return AgentRole::default() };
    let known = ROLES.into_iter().find(|role| role.as_str() == text);
    known.unwrap_or_else(|| {
        let msg = "Input should be 'manager', 'worker', 'specialist', 'moderator' or 'reflector'";
        fields.refuse("role", msg, json!(text));
        AgentRole::default()
    })
}

/// Refuses what only the earlier, interactive product could do; absent and null are accepted.
fn interactive(fields: &Fields, name: &str, what: &str) -> Result<(), Refusal> {
    if fields.is_given(name) { Err(interactive_only(what)) } else { Ok(()) }
}

fn interactive_only(what: &str) -> Refusal {
    let message = format!(
        "{what} is not possible here: agents of this server answer with text and have neither \
         tools nor files. Leave it out"
    );
    Refusal::said(StatusCode::BAD_REQUEST, message)
}

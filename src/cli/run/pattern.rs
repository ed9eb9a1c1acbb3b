//! Builds the API's `PatternInput` from flags. Contradictory flags are refused here, with messages
//! that name the flags; the server checks the rest (bounds, names, models).

use super::args::{PatternArg, PatternArgs};
use crate::cli::CliError;
use claviger_domain::code::ErrorCode;
use serde_json::{Map, Value, json};

/// The roles' names in flags and in the API.
const ROLES: [(&str, &str); 5] = [
    ("manager", "MANAGER"),
    ("worker", "WORKER"),
    ("specialist", "SPECIALIST"),
    ("moderator", "MODERATOR"),
    ("reflector", "REFLECTOR"),
];

/// Reads the text that a flag names: literal, from a file, or from standard input.
pub(super) type Read<'a> = &'a mut dyn FnMut(&str) -> Result<String, CliError>;

fn wrong(message: impl Into<String>) -> CliError {
    CliError::new(ErrorCode::Validation, message)
}

impl PatternArg {
    /// The pattern's field in `PatternInput`.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Debate => "debate",
            Self::Hierarchical => "hierarchical",
            Self::Parallel => "parallel",
            Self::Routing => "routing",
            Self::Design => "design",
        }
    }

    /// Whether the pattern accepts this flag.
    fn takes(self, flag: &str) -> bool {
        match flag {
            "--agent" => self != Self::Design,
            "--manager" => self == Self::Hierarchical,
            "--router" => self == Self::Routing,
            "--aggregator" | "--on-failure" => self == Self::Parallel,
            "--rounds" => self == Self::Debate,
            _ => true,
        }
    }
}

/// Builds `PatternInput` from flags.
pub(super) fn from_flags(args: &PatternArgs, read: Read<'_>) -> Result<Value, CliError> {
    let pattern =
        args.pattern.ok_or_else(|| wrong("choose a pattern with --pattern, or give a --file"))?;
    let given = [
        ("--agent", !args.agent.is_empty()),
        ("--manager", args.manager.is_some()),
        ("--router", args.router.is_some()),
        ("--aggregator", args.aggregator.is_some()),
        ("--on-failure", args.on_failure.is_some()),
        ("--rounds", args.rounds.is_some()),
    ];
    if let Some((flag, _)) = given.iter().find(|(flag, is_given)| *is_given && !pattern.takes(flag))
    {
        return Err(wrong(format!(
            "{flag} does not apply to the pattern {}: leave it out",
            pattern.field()
        )));
    }
    let task = args.task.as_deref().ok_or_else(|| wrong("give the task with --task"))?;
    let task = read(task)?;
    if task.trim().is_empty() {
        return Err(wrong("the task is empty: give it with --task"));
    }
    let mut input = Map::new();
    let task_field = match pattern {
        PatternArg::Debate => "topic",
        PatternArg::Design => "prompt",
        PatternArg::Sequential
        | PatternArg::Hierarchical
        | PatternArg::Parallel
        | PatternArg::Routing => "task",
    };
    input.insert(task_field.to_owned(), Value::String(task));
    let mut put = |name: &str, value: Value| input.insert(name.to_owned(), value);
    match pattern {
        PatternArg::Design => {}
        PatternArg::Sequential | PatternArg::Parallel => drop(put("agents", agents(args, read)?)),
        PatternArg::Debate => {
            put("agents", agents(args, read)?);
            if let Some(rounds) = args.rounds {
                put("rounds", json!(rounds));
            }
        }
        PatternArg::Hierarchical => {
            put("manager", named(args.manager.as_deref(), ("--manager", "MANAGER"), read)?);
            put("workers", agents(args, read)?);
        }
        PatternArg::Routing => {
            put("router", named(args.router.as_deref(), ("--router", "MANAGER"), read)?);
            put("specialists", specialists(args, read)?);
        }
    }
    if let Some(aggregator) = &args.aggregator {
        put("aggregator", agent(aggregator, None, read)?);
    }
    if let Some(policy) = &args.on_failure {
        let (policy, quorum) = on_failure(policy)?;
        put("onFailure", json!(policy));
        if let Some(quorum) = quorum {
            put("quorum", json!(quorum));
        }
    }
    Ok(json!({ pattern.field(): input }))
}

fn agents(args: &PatternArgs, read: Read<'_>) -> Result<Value, CliError> {
    several(args, None, read)
}

fn specialists(args: &PatternArgs, read: Read<'_>) -> Result<Value, CliError> {
    several(args, Some("SPECIALIST"), read)
}

fn several(args: &PatternArgs, role: Option<&str>, read: Read<'_>) -> Result<Value, CliError> {
    if args.agent.is_empty() {
        return Err(wrong("give the agents with --agent 'name=system prompt', once for each"));
    }
    let mut agents = Vec::new();
    for text in &args.agent {
        agents.push(agent(text, role, read)?);
    }
    Ok(Value::Array(agents))
}

fn named(
    text: Option<&str>,
    (flag, role): (&str, &str),
    read: Read<'_>,
) -> Result<Value, CliError> {
    let text =
        text.ok_or_else(|| wrong(format!("this pattern needs {flag} 'name=system prompt'")))?;
    agent(text, Some(role), read)
}

/// `AgentInput` from `name[:role]=prompt`; `role` is the default role.
fn agent(text: &str, role: Option<&str>, read: Read<'_>) -> Result<Value, CliError> {
    let form = || wrong("write an agent as 'name=system prompt' or 'name:role=system prompt'");
    let (name, prompt) = text.split_once('=').ok_or_else(form)?;
    let (name, role) = match name.rsplit_once(':') {
        None => (name, role),
        Some((name, word)) => {
            let known = ROLES.iter().find(|(known, _)| *known == word.trim());
            let names = || ROLES.map(|(known, _)| known).join(", ");
            let (_, role) = known.ok_or_else(|| {
                wrong(format!("there is no role {word:?}: it must be one of {} (a name with a colon goes into a --file)", names()))
            })?;
            (name, Some(*role))
        }
    };
    if name.trim().is_empty() {
        return Err(form());
    }
    let prompt = if prompt == "-" { prompt.to_owned() } else { read(prompt)? };
    let mut agent = json!({ "name": name.trim(), "systemPrompt": prompt });
    if let (Some(role), Some(agent)) = (role, agent.as_object_mut()) {
        agent.insert("role".to_owned(), json!(role));
    }
    Ok(agent)
}

fn on_failure(policy: &str) -> Result<(&'static str, Option<u32>), CliError> {
    match policy.split_once(':') {
        None if policy == "fail" => Ok(("FAIL", None)),
        None if policy == "continue" => Ok(("CONTINUE", None)),
        Some(("quorum", number)) => match number.parse() {
            Ok(number) if number > 0 => Ok(("QUORUM", Some(number))),
            Ok(_) | Err(_) => Err(wrong(
                "write --on-failure quorum:N with the number of agents that must succeed",
            )),
        },
        None | Some(_) => Err(wrong("write --on-failure fail, continue or quorum:N")),
    }
}

#[cfg(test)]
mod tests;

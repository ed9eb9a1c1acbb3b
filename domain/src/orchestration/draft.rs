//! A definition as clients send it: names instead of indices, nothing checked. [`Draft::check`] is
//! the only way to make a [`Definition`] of it.

use super::definition::{Agent, AgentRole, Block, Definition, OnFailure, Work};
use crate::code::ErrorCode;
use crate::text::{AgentName, ModelId, TextError};
use serde_json::Value;
use std::collections::HashMap;

/// Bounds of a definition. All of them can be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most agents of a run.
    pub agents: usize,
    /// Most rounds of a debate.
    pub rounds: u32,
    /// Most entries of a sequence.
    pub sequence: usize,
    /// Most bytes of all texts together: task, prompts and current design.
    pub text_bytes: usize,
    /// Most bytes of all pictures together, in base64.
    pub image_bytes: usize,
    /// Most tokens of one reply.
    pub max_tokens: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            agents: 32,
            rounds: 20,
            sequence: 100,
            text_bytes: 256 * 1024,
            image_bytes: 8 * 1024 * 1024,
            max_tokens: 128_000,
        }
    }
}

/// An agent as clients send it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentDraft {
    /// The name, not yet trimmed or checked.
    pub name: String,
    /// The system prompt; may be empty.
    pub system_prompt: String,
    /// The role among the agents.
    pub role: AgentRole,
    /// The model; `None` for the run's.
    pub model: Option<String>,
    /// Most tokens of a reply; `None` for the run's bound.
    pub max_tokens: Option<u32>,
}

/// The work of a run as clients send it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of Work, with names for indices")]
pub enum Draft {
    /// `sequence`: absent for all agents in their order.
    Sequential { task: Vec<Block>, agents: Vec<AgentDraft>, sequence: Option<Vec<String>> },
    /// `participants`: absent for all agents in their order.
    Debate {
        topic: String,
        agents: Vec<AgentDraft>,
        participants: Option<Vec<String>>,
        rounds: u32,
    },
    /// `worker_names`: absent for all workers in their order.
    Hierarchical {
        task: String,
        manager: AgentDraft,
        workers: Vec<AgentDraft>,
        worker_names: Option<Vec<String>>,
    },
    /// `agent_names`: absent for all agents in their order. `aggregator` is one more agent.
    Parallel {
        task: String,
        agents: Vec<AgentDraft>,
        agent_names: Option<Vec<String>>,
        aggregator: Option<AgentDraft>,
        on_failure: OnFailure,
    },
    /// `specialist_names`: absent for all specialists in their order.
    Routing {
        task: String,
        router: AgentDraft,
        specialists: Vec<AgentDraft>,
        specialist_names: Option<Vec<String>>,
    },
    /// `current`: to be improved; absent for a new one.
    Design { prompt: String, current: Option<Value> },
}

/// Why a definition was refused: no run was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DefinitionError {
    /// The field at fault, as a path inside the input.
    pub path: Vec<String>,
    /// What is wrong with it.
    #[source]
    pub reason: Reason,
}

/// What is wrong with a definition. The texts are for people, and contain the bound or the
/// alternatives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts of the errors document the variants")]
pub enum Reason {
    #[error(transparent)]
    Name(#[from] TextError),
    #[error("two agents are called {name:?}: give each its own name")]
    SameName { name: String },
    #[error("there is no agent {name:?}: the agents are {known}")]
    Unknown { name: String, known: String },
    #[error("{name:?} is named twice: name each agent once")]
    Twice { name: String },
    #[error("{what} is empty: write what is to be done")]
    EmptyText { what: &'static str },
    #[error("there are no {what}: give at least one")]
    Missing { what: &'static str },
    #[error("{found} {what}: at most {max} are allowed")]
    TooMany { what: &'static str, found: u64, max: u64 },
    #[error("{found:?} is not a model id: the query models lists those that exist")]
    Model { found: String },
    #[error("maxTokens must be 1 to {max}, got {found}")]
    MaxTokens { found: u32, max: u32 },
    #[error("the quorum must be 1 to {agents}, the number of agents, got {quorum}")]
    Quorum { quorum: u32, agents: usize },
    #[error(
        "a debate of moderators only has nothing to moderate: let at least one other agent speak"
    )]
    OnlyModerators,
    #[error(
        "a picture of the type {found:?} cannot be sent: use image/png, image/jpeg, image/gif or image/webp"
    )]
    MediaType { found: String },
    #[error("a picture is not base64: encode it with the standard alphabet and padding")]
    Base64,
    #[error("the current design must be a JSON object")]
    NoDesign,
}

impl DefinitionError {
    /// The code of the contract.
    pub const fn code(&self) -> ErrorCode {
        match &self.reason {
            Reason::TooMany { .. } => ErrorCode::LimitExceeded,
            Reason::Name(_)
            | Reason::SameName { .. }
            | Reason::Unknown { .. }
            | Reason::Twice { .. }
            | Reason::EmptyText { .. }
            | Reason::Missing { .. }
            | Reason::Model { .. }
            | Reason::MaxTokens { .. }
            | Reason::Quorum { .. }
            | Reason::OnlyModerators
            | Reason::MediaType { .. }
            | Reason::Base64
            | Reason::NoDesign => ErrorCode::Validation,
        }
    }
}

type Checked<T> = Result<T, DefinitionError>;

fn refused<T>(path: &[&str], reason: Reason) -> Checked<T> {
    Err(DefinitionError { path: path.iter().map(|part| (*part).to_owned()).collect(), reason })
}

impl Draft {
    /// Checks everything that can be checked before the run.
    ///
    /// # Errors
    /// The first rule that the draft breaks.
    pub fn check(self, bounds: &Bounds) -> Checked<Definition> {
        let definition = match self {
            Self::Sequential { task, agents, sequence } => {
                sequential(task, agents, sequence, bounds)?
            }
            Self::Debate { topic, agents, participants, rounds } => {
                debate(topic, agents, participants, rounds, bounds)?
            }
            Self::Hierarchical { task, manager, workers, worker_names } => {
                let mut team = Team::new(bounds);
                let manager = team.add(manager, &["manager"])?;
                team.add_all(workers, "workers")?;
                let workers = team.chosen(worker_names, ("workers", "workerNames"), 1)?;
                team.define(Work::Hierarchical { task: filled(task, "task")?, manager, workers })
            }
            Self::Parallel { task, agents, agent_names, aggregator, on_failure } => {
                let mut team = Team::new(bounds);
                team.add_all(agents, "agents")?;
                let workers = team.chosen(agent_names, ("agents", "agentNames"), 0)?;
                let aggregator =
                    aggregator.map(|agent| team.add(agent, &["aggregator"])).transpose()?;
                if let OnFailure::Quorum(quorum) = on_failure
                    && !usize::try_from(quorum)
                        .is_ok_and(|quorum| (1..=workers.len()).contains(&quorum))
                {
                    return refused(&["quorum"], Reason::Quorum { quorum, agents: workers.len() });
                }
                team.define(Work::Parallel {
                    task: filled(task, "task")?,
                    workers,
                    aggregator,
                    on_failure,
                })
            }
            Self::Routing { task, router, specialists, specialist_names } => {
                let mut team = Team::new(bounds);
                let router = team.add(router, &["router"])?;
                team.add_all(specialists, "specialists")?;
                let specialists =
                    team.chosen(specialist_names, ("specialists", "specialistNames"), 1)?;
                team.define(Work::Routing { task: filled(task, "task")?, router, specialists })
            }
            Self::Design { prompt, current } => {
                if current.as_ref().is_some_and(|current| !current.is_object()) {
                    return refused(&["currentDesign"], Reason::NoDesign);
                }
                Team::new(bounds)
                    .define(Work::Design { prompt: filled(prompt, "prompt")?, current })
            }
        };
        check_size(&definition, bounds)?;
        Ok(definition)
    }
}

fn sequential(
    task: Vec<Block>,
    agents: Vec<AgentDraft>,
    sequence: Option<Vec<String>>,
    bounds: &Bounds,
) -> Checked<Definition> {
    let mut team = Team::new(bounds);
    team.add_all(agents, "agents")?;
    check_task(&task)?;
    let Some(names) = sequence else {
        let sequence = team.places(0);
        return Ok(team.define(Work::Sequential { task, sequence }));
    };
    if names.is_empty() {
        return refused(&["sequence"], Reason::Missing { what: "entries in the sequence" });
    }
    at_most("entries of the sequence", names.len(), bounds.sequence, &["sequence"])?;
    let sequence =
        names.iter().map(|name| team.place(name, "sequence", 0)).collect::<Checked<_>>()?;
    Ok(team.define(Work::Sequential { task, sequence }))
}

fn debate(
    topic: String,
    agents: Vec<AgentDraft>,
    participants: Option<Vec<String>>,
    rounds: u32,
    bounds: &Bounds,
) -> Checked<Definition> {
    let mut team = Team::new(bounds);
    team.add_all(agents, "agents")?;
    let participants = team.chosen(participants, ("agents", "participants"), 0)?;
    if rounds == 0 {
        return refused(&["rounds"], Reason::Missing { what: "rounds" });
    }
    if rounds > bounds.rounds {
        return refused(
            &["rounds"],
            Reason::TooMany {
                what: "rounds",
                found: u64::from(rounds),
                max: u64::from(bounds.rounds),
            },
        );
    }
    let definition = team.define(Work::Debate {
        topic: filled(topic, "topic")?,
        participants: participants.clone(),
        rounds,
    });
    let moderates = |place: &u32| {
        definition.agent(*place).is_some_and(|agent| agent.role == AgentRole::Moderator)
    };
    if participants.iter().all(moderates) {
        return refused(&["participants"], Reason::OnlyModerators);
    }
    Ok(definition)
}

/// The agents of a run while it is checked.
struct Team<'a> {
    bounds: &'a Bounds,
    agents: Vec<Agent>,
    places: HashMap<String, u32>,
}

impl<'a> Team<'a> {
    fn new(bounds: &'a Bounds) -> Self {
        Self { bounds, agents: Vec::new(), places: HashMap::new() }
    }

    fn add(&mut self, draft: AgentDraft, path: &[&str]) -> Checked<u32> {
        let at = |field| path.iter().copied().chain([field]).collect::<Vec<_>>();
        let name = match AgentName::parse(&draft.name) {
            Ok(name) => name.into_string(),
            Err(error) => return refused(&at("name"), error.into()),
        };
        if let Some(model) = draft.model.as_ref().filter(|model| ModelId::parse(model).is_none()) {
            // An invalid model id may be anything, such as a pasted API key.
            let found = if crate::api_key::contains_secret(model) { "sk-ant-..." } else { model };
            return refused(
                &at("model"),
                Reason::Model { found: found.chars().take(128).collect() },
            );
        }
        if let Some(found) =
            draft.max_tokens.filter(|tokens| !(1..=self.bounds.max_tokens).contains(tokens))
        {
            return refused(
                &at("maxTokens"),
                Reason::MaxTokens { found, max: self.bounds.max_tokens },
            );
        }
        let place = u32::try_from(self.agents.len()).unwrap_or(u32::MAX);
        if self.places.insert(name.clone(), place).is_some() {
            return refused(&at("name"), Reason::SameName { name });
        }
        let AgentDraft { system_prompt, role, model, max_tokens, .. } = draft;
        self.agents.push(Agent { name, system_prompt, role, model, max_tokens });
        at_most("agents", self.agents.len(), self.bounds.agents, path)?;
        Ok(place)
    }

    fn add_all(&mut self, drafts: Vec<AgentDraft>, path: &'static str) -> Checked<()> {
        if drafts.is_empty() {
            return refused(&[path], Reason::Missing { what: path });
        }
        for (n, draft) in drafts.into_iter().enumerate() {
            self.add(draft, &[path, &n.to_string()])?;
        }
        Ok(())
    }

    /// All indices from this one.
    fn places(&self, from: u32) -> Vec<u32> {
        (from..u32::try_from(self.agents.len()).unwrap_or(u32::MAX)).collect()
    }

    /// The index of the agent with this name, from an index on: agents before it (a manager, a
    /// router) have another part.
    fn place(&self, name: &str, path: &'static str, from: u32) -> Checked<u32> {
        let Some(place) = self.places.get(name.trim()).filter(|place| **place >= from) else {
            let others = self
                .places(from)
                .into_iter()
                .filter_map(|place| self.agents.get(usize::try_from(place).ok()?));
            let known = others.map(|agent| agent.name.as_str()).collect::<Vec<_>>().join(", ");
            let name = if crate::api_key::contains_secret(name) { "sk-ant-..." } else { name };
            return refused(
                &[path],
                Reason::Unknown { name: name.chars().take(AgentName::MAX).collect(), known },
            );
        };
        Ok(*place)
    }

    /// The named agents, each once, or all from an index on.
    fn chosen(
        &self,
        names: Option<Vec<String>>,
        (what, path): (&'static str, &'static str),
        from: u32,
    ) -> Checked<Vec<u32>> {
        let Some(names) = names else { return Ok(self.places(from)) };
        if names.is_empty() {
            return refused(&[path], Reason::Missing { what });
        }
        let mut chosen = Vec::with_capacity(names.len());
        for name in names {
            let place = self.place(&name, path, from)?;
            if chosen.contains(&place) {
                return refused(&[path], Reason::Twice { name });
            }
            chosen.push(place);
        }
        Ok(chosen)
    }

    fn define(self, work: Work) -> Definition {
        Definition { agents: self.agents, work }
    }
}

fn filled(text: String, what: &'static str) -> Checked<String> {
    if text.trim().is_empty() { refused(&[what], Reason::EmptyText { what }) } else { Ok(text) }
}

fn at_most(what: &'static str, found: usize, max: usize, path: &[&str]) -> Checked<()> {
    if found > max {
        refused(path, Reason::TooMany { what, found: found as u64, max: max as u64 })
    } else {
        Ok(())
    }
}

/// Checks a task of blocks: it is not empty, and its pictures are of types that Anthropic accepts.
fn check_task(task: &[Block]) -> Checked<()> {
    let has_content = |block: &Block| match block {
        Block::Text { text } => !text.trim().is_empty(),
        Block::Image { .. } => true,
    };
    if !task.iter().any(has_content) {
        return refused(&["task"], Reason::EmptyText { what: "task" });
    }
    for block in task {
        let Block::Image { media_type, data } = block else { continue };
        if !["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&media_type.as_str()) {
            return refused(
                &["task"],
                Reason::MediaType { found: media_type.chars().take(40).collect() },
            );
        }
        if !is_base64(data) {
            return refused(&["task"], Reason::Base64);
        }
    }
    Ok(())
}

/// Whether this is standard base64 with padding. Only Anthropic checks the picture itself.
fn is_base64(data: &str) -> bool {
    let body = data.trim_end_matches('=');
    !body.is_empty()
        && data.len().is_multiple_of(4)
        && data.len() - body.len() <= 2
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

fn check_size(definition: &Definition, bounds: &Bounds) -> Checked<()> {
    let prompts: usize = definition.agents.iter().map(|agent| agent.system_prompt.len()).sum();
    let (mut texts, mut images) = (prompts, 0);
    match &definition.work {
        Work::Sequential { task, .. } => {
            for block in task {
                match block {
                    Block::Text { text } => texts += text.len(),
                    Block::Image { data, .. } => images += data.len(),
                }
            }
        }
        Work::Debate { topic: text, .. }
        | Work::Hierarchical { task: text, .. }
        | Work::Parallel { task: text, .. }
        | Work::Routing { task: text, .. } => texts += text.len(),
        Work::Design { prompt, current } => {
            texts += prompt.len() + current.as_ref().map_or(0, |current| current.to_string().len());
        }
    }
    at_most("bytes of text", texts, bounds.text_bytes, &["task"])?;
    at_most("bytes of pictures", images, bounds.image_bytes, &["task"])
}

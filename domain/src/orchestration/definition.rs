//! What a run is to do: its agents, its pattern, its texts. Written once into `RunRequested`, which
//! is the only source of it from then on.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How agents work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// One agent after another, each with the reply of the one before.
    Sequential,
    /// In rounds, each agent with all statements so far.
    Debate,
    /// A manager splits the task, workers do the parts, the manager combines their replies.
    Hierarchical,
    /// All agents at the same time, on the same task.
    Parallel,
    /// A router chooses the specialists who do the task.
    Routing,
    /// One call whose answer is a design.
    Design,
}

impl Pattern {
    /// All patterns, in the order of the enum.
    pub const ALL: &'static [Self] = &[
        Self::Sequential,
        Self::Debate,
        Self::Hierarchical,
        Self::Parallel,
        Self::Routing,
        Self::Design,
    ];

    /// The name that is stored and shown, and used in results and by the REST facade.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Debate => "debate",
            Self::Hierarchical => "hierarchical",
            Self::Parallel => "parallel",
            Self::Routing => "dynamic_routing",
            Self::Design => "design",
        }
    }
}

/// The role of an agent. A moderator speaks last in a debate; the other roles have no effect and
/// are for the owner's information.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentRole {
    /// Splits a task and combines the replies.
    Manager,
    /// Does the work.
    #[default]
    Worker,
    /// Does one kind of work.
    Specialist,
    /// Speaks last in each round of a debate.
    Moderator,
    /// Reviews what was done.
    Reflector,
}

impl AgentRole {
    /// The name that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Worker => "worker",
            Self::Specialist => "specialist",
            Self::Moderator => "moderator",
            Self::Reflector => "reflector",
        }
    }
}

/// One agent: a name and a system prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Unique within the run.
    pub name: String,
    /// The system prompt; may be empty.
    pub system_prompt: String,
    /// Its role among the agents.
    pub role: AgentRole,
    /// Its model; absent for the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Most tokens of a reply, including thinking; absent for the run's bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

/// A part of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Block {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Image {
        /// For example `image/png`.
        media_type: String,
        /// Standard base64.
        data: String,
    },
}

/// When a parallel run fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// As soon as one agent fails; calls of the others are stopped.
    #[default]
    Fail,
    /// When all agents have failed.
    Continue,
    /// When fewer than this number of agents can still succeed.
    Quorum(u32),
}

/// The agents of a run and their work, which refers to them by index in [`Definition::agents`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// All agents.
    pub agents: Vec<Agent>,
    /// Their work.
    pub work: Work,
}

/// The work of the agents, by pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// One agent after another.
    Sequential {
        /// The first agent gets all of it; the others get its text without pictures.
        task: Vec<Block>,
        /// The agents in order; one may occur more than once.
        sequence: Vec<u32>,
    },
    /// A debate in rounds.
    Debate {
        /// The topic of the debate.
        topic: String,
        /// The speakers in order; moderators among them speak last.
        participants: Vec<u32>,
        /// Number of rounds, from 1.
        rounds: u32,
    },
    /// A task that is split, done in parts, and combined.
    Hierarchical {
        /// The whole task.
        task: String,
        /// The agent that splits the task and combines the replies.
        manager: u32,
        /// The agents that do the parts.
        workers: Vec<u32>,
    },
    /// All agents at the same time.
    Parallel {
        /// The task that each agent gets.
        task: String,
        /// The agents.
        workers: Vec<u32>,
        /// The agent that combines the replies, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        aggregator: Option<u32>,
        /// When the run fails.
        on_failure: OnFailure,
    },
    /// A task for specialists that a router chooses.
    Routing {
        /// The task of the chosen specialists.
        task: String,
        /// The agent that chooses.
        router: u32,
        /// The agents among which it chooses.
        specialists: Vec<u32>,
    },
    /// One call whose answer is a design.
    Design {
        /// The requirements, in words.
        prompt: String,
        /// An existing design to improve, as a JSON object.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        current: Option<Value>,
    },
}

impl Definition {
    /// The pattern of the work.
    pub const fn pattern(&self) -> Pattern {
        match self.work {
            Work::Sequential { .. } => Pattern::Sequential,
            Work::Debate { .. } => Pattern::Debate,
            Work::Hierarchical { .. } => Pattern::Hierarchical,
            Work::Parallel { .. } => Pattern::Parallel,
            Work::Routing { .. } => Pattern::Routing,
            Work::Design { .. } => Pattern::Design,
        }
    }

    /// The agent with this index. Indices come from a checked definition, or from events made of
    /// one.
    pub fn agent(&self, place: u32) -> Option<&Agent> {
        self.agents.get(usize::try_from(place).ok()?)
    }

    /// The name of the agent with this index; empty if there is none.
    pub fn name(&self, place: u32) -> &str {
        self.agent(place).map_or("", |agent| &agent.name)
    }
}

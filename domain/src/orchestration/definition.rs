//! What a run is to do: its agents, its pattern, its texts. Written once into `RunRequested`, and never looked up anywhere else again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How agents work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// One after another, each with the reply of the one before.
    Sequential,
    /// In rounds, each with all that was said.
    Debate,
    /// A manager splits the task, workers do the parts, the manager puts them together.
    Hierarchical,
    /// All at once on the same task.
    Parallel,
    /// A router chooses who does it.
    Routing,
    /// One call that answers with a design.
    Design,
}

impl Pattern {
    /// Every pattern.
    pub const ALL: &'static [Self] = &[
        Self::Sequential,
        Self::Debate,
        Self::Hierarchical,
        Self::Parallel,
        Self::Routing,
        Self::Design,
    ];

    /// The word stored and shown; in results and on the wire of the REST facade too.
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

/// What an agent is in its team. A moderator speaks last in a debate; the others are words for the agent's owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentRole {
    /// Splits and puts together.
    Manager,
    /// Does the work.
    #[default]
    Worker,
    /// Does one kind of work.
    Specialist,
    /// Speaks last in a round of a debate.
    Moderator,
    /// Looks back at what was done.
    Reflector,
}

impl AgentRole {
    /// The word stored and shown.
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
    /// Who it is and how it works.
    pub system_prompt: String,
    /// What it is in its team.
    pub role: AgentRole,
    /// Its model, if not the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Most tokens of a reply, thinking included, if not the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

/// A piece of a task.
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

/// When a parallel run has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// As soon as one agent has; the others are stopped.
    #[default]
    Fail,
    /// When all have.
    Continue,
    /// When fewer than this many can still succeed.
    Quorum(u32),
}

/// A run's work. Agents are spoken of by their place in [`Definition::agents`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// All agents.
    pub agents: Vec<Agent>,
    /// What they do.
    pub work: Work,
}

/// What the agents do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// One after another.
    Sequential {
        /// What the first gets whole; the others get its text.
        task: Vec<Block>,
        /// Who, in order; an agent may come more than once.
        sequence: Vec<u32>,
    },
    /// In rounds.
    Debate {
        /// What about.
        topic: String,
        /// Who speaks, in order; a moderator among them speaks last.
        participants: Vec<u32>,
        /// How often round.
        rounds: u32,
    },
    /// Split, done, put together.
    Hierarchical {
        /// The whole.
        task: String,
        /// Who splits and puts together.
        manager: u32,
        /// Who does the parts.
        workers: Vec<u32>,
    },
    /// All at once.
    Parallel {
        /// What each gets.
        task: String,
        /// Who.
        workers: Vec<u32>,
        /// Who puts their replies together, if anybody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        aggregator: Option<u32>,
        /// When the run has failed.
        on_failure: OnFailure,
    },
    /// Chosen by a router.
    Routing {
        /// What is to be done.
        task: String,
        /// Who chooses.
        router: u32,
        /// Among whom.
        specialists: Vec<u32>,
    },
    /// A design.
    Design {
        /// What is wanted.
        prompt: String,
        /// What there is already, to be improved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        current: Option<Value>,
    },
}

impl Definition {
    /// How the agents work together.
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

    /// An agent by its place. Places come from a checked definition, or from events made of one.
    pub fn agent(&self, place: u32) -> Option<&Agent> {
        self.agents.get(usize::try_from(place).ok()?)
    }

    /// An agent's name; empty for a place that there isn't.
    pub fn name(&self, place: u32) -> &str {
        self.agent(place).map_or("", |agent| &agent.name)
    }
}

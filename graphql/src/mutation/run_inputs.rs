//! Inputs of the mutations on orchestrations.

use crate::types::{AgentRole, FailurePolicy, default_context};
use async_graphql::{ID, InputObject, OneofObject};

/// Default number of rounds of a debate.
pub(super) const DEBATE_ROUNDS: i32 = 3;

#[expect(clippy::unnecessary_wraps, reason = "the field is nullable")]
fn worker() -> Option<AgentRole> {
    Some(AgentRole::Worker)
}

#[expect(clippy::unnecessary_wraps, reason = "the field is nullable")]
fn fail() -> Option<FailurePolicy> {
    Some(FailurePolicy::Fail)
}

#[expect(clippy::unnecessary_wraps, reason = "the field is nullable")]
fn three() -> Option<i32> {
    Some(DEBATE_ROUNDS)
}

/// One agent: a name and a system prompt.
#[derive(InputObject)]
pub(crate) struct AgentInput {
    /// 1 to 100 characters, unique within the orchestration.
    pub(crate) name: String,
    /// Who the agent is and how it works.
    pub(crate) system_prompt: String,
    /// The agent's part in its team.
    #[graphql(default_with = "worker()")]
    pub(crate) role: Option<AgentRole>,
    /// The agent's model; the orchestration's model if omitted.
    pub(crate) model: Option<String>,
    /// Maximum tokens of a reply, thinking included.
    pub(crate) max_tokens: Option<i32>,
}

/// The agents work one after another: each receives the task and the previous reply.
#[derive(InputObject)]
pub(crate) struct SequentialInput {
    /// The task.
    pub(crate) task: String,
    /// The agents.
    pub(crate) agents: Vec<AgentInput>,
    /// Agent names in order; a name may occur more than once. All agents in their order if omitted.
    pub(crate) sequence: Option<Vec<String>>,
}

/// The agents speak in rounds: each receives everything said so far.
#[derive(InputObject)]
pub(crate) struct DebateInput {
    /// The topic of the debate.
    pub(crate) topic: String,
    /// The agents. A moderator speaks last; its last message is the verdict.
    pub(crate) agents: Vec<AgentInput>,
    /// Names of the speakers, in order. All agents in their order if omitted.
    pub(crate) participants: Option<Vec<String>>,
    /// Number of rounds, at most 20.
    #[graphql(default_with = "three()")]
    pub(crate) rounds: Option<i32>,
}

/// A manager splits the task, workers do the parts in parallel, and the manager combines the
/// results.
#[derive(InputObject)]
pub(crate) struct HierarchicalInput {
    /// The whole task.
    pub(crate) task: String,
    /// The agent that splits the task and combines the results.
    pub(crate) manager: AgentInput,
    /// The agents that do the parts.
    pub(crate) workers: Vec<AgentInput>,
}

/// All agents work on the same task at the same time.
#[derive(InputObject)]
pub(crate) struct ParallelInput {
    /// The task that each agent receives.
    pub(crate) task: String,
    /// The agents.
    pub(crate) agents: Vec<AgentInput>,
    /// Combines the replies. Without it, they stay separate.
    pub(crate) aggregator: Option<AgentInput>,
    /// When the orchestration fails.
    #[graphql(default_with = "fail()")]
    pub(crate) on_failure: Option<FailurePolicy>,
    /// With QUORUM: how many agents must succeed.
    pub(crate) quorum: Option<i32>,
}

/// A router chooses one of several specialists.
#[derive(InputObject)]
pub(crate) struct RoutingInput {
    /// The task.
    pub(crate) task: String,
    /// The agent that chooses.
    pub(crate) router: AgentInput,
    /// The agents to choose from.
    pub(crate) specialists: Vec<AgentInput>,
}

/// A request for the design of an orchestration.
#[derive(InputObject)]
pub(crate) struct DesignInput {
    /// What the design is for.
    pub(crate) prompt: String,
    /// An existing design to improve.
    pub(crate) current_design: Option<serde_json::Value>,
}

/// The work to do, in one of the patterns.
#[derive(OneofObject)]
pub(crate) enum PatternInput {
    /// The agents work one after another.
    Sequential(SequentialInput),
    /// The agents speak in rounds.
    Debate(DebateInput),
    /// A manager splits the task and combines the results.
    Hierarchical(HierarchicalInput),
    /// All agents work at the same time.
    Parallel(ParallelInput),
    /// A router chooses a specialist.
    Routing(RoutingInput),
    /// One call that returns a design.
    Design(DesignInput),
}

/// An orchestration to start.
#[derive(InputObject)]
pub(crate) struct StartOrchestrationInput {
    /// The work to do.
    pub(crate) pattern: PatternInput,
    /// A title of 1 to 200 characters.
    pub(crate) title: Option<String>,
    /// The model for agents that name none; the installation's default if omitted.
    pub(crate) model: Option<String>,
    /// The only key that may be used; if it is unusable, the request is refused.
    pub(crate) key_id: Option<ID>,
    /// The context whose default key is used if keyId is omitted.
    #[graphql(default_with = "default_context()")]
    pub(crate) context: Option<String>,
    /// Maximum number of calls at the same time.
    pub(crate) max_concurrency: Option<i32>,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// An orchestration to act on.
#[derive(InputObject)]
pub(crate) struct OrchestrationInput {
    /// The orchestration's id.
    pub(crate) id: ID,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub(crate) idempotency_key: Option<ID>,
    /// Returned unchanged in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

//! Inputs of the contract about orchestrations.

use crate::types::{AgentRole, FailurePolicy, default_context};
use async_graphql::{ID, InputObject, OneofObject};

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
    Some(super::patterns::ROUNDS)
}

/// One agent: a name and a system prompt.
#[derive(InputObject)]
pub(crate) struct AgentInput {
    /// 1 to 100 characters, unique within the orchestration.
    pub(crate) name: String,
    /// Who it is and how it works.
    pub(crate) system_prompt: String,
    /// What it is in its team.
    #[graphql(default_with = "worker()")]
    pub(crate) role: Option<AgentRole>,
    /// Its model, if not the orchestration's.
    pub(crate) model: Option<String>,
    /// Most tokens of a reply, thinking included.
    pub(crate) max_tokens: Option<i32>,
}

/// One after another: each gets the task and the reply of the one before.
#[derive(InputObject)]
pub(crate) struct SequentialInput {
    /// What is to be done.
    pub(crate) task: String,
    /// Who.
    pub(crate) agents: Vec<AgentInput>,
    /// Names in order, where they may come more than once; all agents in their order without it.
    pub(crate) sequence: Option<Vec<String>>,
}

/// In rounds: each gets what was said so far.
#[derive(InputObject)]
pub(crate) struct DebateInput {
    /// What about.
    pub(crate) topic: String,
    /// Who. A moderator speaks last; its last word is the verdict.
    pub(crate) agents: Vec<AgentInput>,
    /// Names of those who speak, in order; all agents in their order without it.
    pub(crate) participants: Option<Vec<String>>,
    /// How often round, at most 20.
    #[graphql(default_with = "three()")]
    pub(crate) rounds: Option<i32>,
}

/// A manager splits the task, workers do the parts side by side, the manager puts them together.
#[derive(InputObject)]
pub(crate) struct HierarchicalInput {
    /// The whole.
    pub(crate) task: String,
    /// Who splits and puts together.
    pub(crate) manager: AgentInput,
    /// Who does the parts.
    pub(crate) workers: Vec<AgentInput>,
}

/// All at once on the same task.
#[derive(InputObject)]
pub(crate) struct ParallelInput {
    /// What each gets.
    pub(crate) task: String,
    /// Who.
    pub(crate) agents: Vec<AgentInput>,
    /// Puts the replies together; without it they stay apart.
    pub(crate) aggregator: Option<AgentInput>,
    /// When the whole has failed.
    #[graphql(default_with = "fail()")]
    pub(crate) on_failure: Option<FailurePolicy>,
    /// With QUORUM: how many must succeed.
    pub(crate) quorum: Option<i32>,
}

/// A router chooses among specialists.
#[derive(InputObject)]
pub(crate) struct RoutingInput {
    /// What is to be done.
    pub(crate) task: String,
    /// Who chooses.
    pub(crate) router: AgentInput,
    /// Among whom.
    pub(crate) specialists: Vec<AgentInput>,
}

/// A design of an orchestration.
#[derive(InputObject)]
pub(crate) struct DesignInput {
    /// What is wanted.
    pub(crate) prompt: String,
    /// What there is already, to be improved.
    pub(crate) current_design: Option<serde_json::Value>,
}

/// What is to be done, in one of the patterns.
#[derive(OneofObject)]
pub(crate) enum PatternInput {
    /// One after another.
    Sequential(SequentialInput),
    /// In rounds.
    Debate(DebateInput),
    /// Split, done, put together.
    Hierarchical(HierarchicalInput),
    /// All at once.
    Parallel(ParallelInput),
    /// Chosen by a router.
    Routing(RoutingInput),
    /// A design.
    Design(DesignInput),
}

/// An orchestration that is asked for.
#[derive(InputObject)]
pub(crate) struct StartOrchestrationInput {
    /// What is to be done.
    pub(crate) pattern: PatternInput,
    /// What to call it: 1 to 200 characters.
    pub(crate) title: Option<String>,
    /// The model where an agent names none; the installation's default without it.
    pub(crate) model: Option<String>,
    /// The key that is used, or the request is refused.
    pub(crate) key_id: Option<ID>,
    /// Whose default key is looked for without keyId.
    #[graphql(default_with = "default_context()")]
    pub(crate) context: Option<String>,
    /// Most calls at once.
    pub(crate) max_concurrency: Option<i32>,
    /// Makes a repeat harmless.
    pub(crate) idempotency_key: Option<ID>,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

/// An orchestration.
#[derive(InputObject)]
pub(crate) struct OrchestrationInput {
    /// Its id.
    pub(crate) id: ID,
    /// Makes a repeat harmless.
    pub(crate) idempotency_key: Option<ID>,
    /// Comes back in the payload.
    pub(crate) client_mutation_id: Option<String>,
}

//! Turns the inputs of patterns into drafts. Checks only what GraphQL types cannot express; the
//! command checks the rest.

use super::run_inputs::{
    AgentInput, DEBATE_ROUNDS, DebateInput, HierarchicalInput, ParallelInput, PatternInput,
    RoutingInput, SequentialInput,
};
use crate::types::FailurePolicy;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::orchestration::{AgentDraft, AgentRole, Block, Draft, OnFailure};

type Parsed<T> = Result<T, Failure>;

impl PatternInput {
    /// The name of the pattern's field in the input.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Sequential(_) => "sequential",
            Self::Debate(_) => "debate",
            Self::Hierarchical(_) => "hierarchical",
            Self::Parallel(_) => "parallel",
            Self::Routing(_) => "routing",
            Self::Design(_) => "design",
        }
    }

    /// The draft. The path of a failure is relative to the pattern's own input.
    pub(super) fn draft(self) -> Parsed<Draft> {
        match self {
            Self::Sequential(SequentialInput { task, agents, sequence }) => Ok(Draft::Sequential {
                task: vec![Block::Text { text: task }],
                agents: all(agents, "agents")?,
                sequence,
            }),
            Self::Debate(DebateInput { topic, agents, participants, rounds }) => {
                let rounds = whole(rounds.unwrap_or(DEBATE_ROUNDS), &["rounds"])?;
                Ok(Draft::Debate { topic, agents: all(agents, "agents")?, participants, rounds })
            }
            Self::Hierarchical(HierarchicalInput { task, manager, workers }) => {
                let manager = agent(manager, &["manager"])?;
                Ok(Draft::Hierarchical {
                    task,
                    manager,
                    workers: all(workers, "workers")?,
                    worker_names: None,
                })
            }
            Self::Parallel(input) => parallel(input),
            Self::Routing(RoutingInput { task, router, specialists }) => {
                let (router, specialists) =
                    (agent(router, &["router"])?, all(specialists, "specialists")?);
                Ok(Draft::Routing { task, router, specialists, specialist_names: None })
            }
            Self::Design(input) => {
                Ok(Draft::Design { prompt: input.prompt, current: input.current_design })
            }
        }
    }
}

fn parallel(input: ParallelInput) -> Parsed<Draft> {
    let policy = input.on_failure.unwrap_or(FailurePolicy::Fail);
    let on_failure = match (policy, input.quorum) {
        (FailurePolicy::Fail, None) => OnFailure::Fail,
        (FailurePolicy::Continue, None) => OnFailure::Continue,
        (FailurePolicy::Quorum, Some(quorum)) => OnFailure::Quorum(whole(quorum, &["quorum"])?),
        (FailurePolicy::Quorum, None) => {
            return Err(Failure::new(
                ErrorCode::Validation,
                "onFailure QUORUM requires quorum: set the number of agents that must succeed",
            )
            .at(&["quorum"]));
        }
        (FailurePolicy::Fail | FailurePolicy::Continue, Some(_)) => {
            let message =
                "quorum is allowed only with onFailure QUORUM: omit it, or set onFailure to QUORUM";
            return Err(Failure::new(ErrorCode::Validation, message).at(&["quorum"]));
        }
    };
    let aggregator = input.aggregator.map(|one| agent(one, &["aggregator"])).transpose()?;
    Ok(Draft::Parallel {
        task: input.task,
        agents: all(input.agents, "agents")?,
        agent_names: None,
        aggregator,
        on_failure,
    })
}

fn all(agents: Vec<AgentInput>, field: &str) -> Parsed<Vec<AgentDraft>> {
    agents
        .into_iter()
        .enumerate()
        .map(|(place, one)| agent(one, &[field, &place.to_string()]))
        .collect()
}

fn agent(input: AgentInput, path: &[&str]) -> Parsed<AgentDraft> {
    let at: Vec<&str> = path.iter().copied().chain(["maxTokens"]).collect();
    Ok(AgentDraft {
        name: input.name,
        system_prompt: input.system_prompt,
        role: input.role.map(AgentRole::from).unwrap_or_default(),
        model: input.model,
        max_tokens: input.max_tokens.map(|tokens| whole(tokens, &at)).transpose()?,
    })
}

/// A number that must not be negative. Its bounds are checked where they are known.
pub(super) fn whole(number: i32, path: &[&str]) -> Parsed<u32> {
    u32::try_from(number).map_err(|_| {
        Failure::new(ErrorCode::Validation, format!("the number must be 1 or more, got {number}"))
            .at(path)
    })
}

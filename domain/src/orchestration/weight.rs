//! How many bytes a draft brings along.

use super::definition::Block;
use super::draft::{AgentDraft, Draft};

/// Names, numbers and JSON around the texts of an agent.
const AGENT: usize = 128;

impl AgentDraft {
    fn bytes(&self) -> usize {
        AGENT + self.name.len() + self.system_prompt.len()
    }
}

fn of_blocks(blocks: &[Block]) -> usize {
    let bytes = |block: &Block| match block {
        Block::Text { text } => text.len(),
        Block::Image { media_type, data } => media_type.len() + data.len(),
    };
    blocks.iter().map(bytes).sum()
}

fn of_names(names: Option<&[String]>) -> usize {
    names.into_iter().flatten().map(String::len).sum()
}

impl Draft {
    /// About the bytes of its texts and pictures, as they will be stored.
    pub fn bytes(&self) -> usize {
        let (task, one, agents, names) = match self {
            Self::Sequential { task, agents, sequence } => {
                (of_blocks(task), None, agents.as_slice(), sequence)
            }
            Self::Debate { topic, agents, participants, .. } => {
                (topic.len(), None, agents.as_slice(), participants)
            }
            Self::Hierarchical { task, manager, workers, worker_names } => {
                (task.len(), Some(manager), workers.as_slice(), worker_names)
            }
            Self::Parallel { task, agents, agent_names, aggregator, .. } => {
                (task.len(), aggregator.as_ref(), agents.as_slice(), agent_names)
            }
            Self::Routing { task, router, specialists, specialist_names } => {
                (task.len(), Some(router), specialists.as_slice(), specialist_names)
            }
            Self::Design { prompt, current } => {
                let current = current.as_ref().map_or(0, |current| current.to_string().len());
                return prompt.len() + current;
            }
        };
        let agents = one.into_iter().chain(agents).map(AgentDraft::bytes).sum::<usize>();
        task + agents + of_names(names.as_deref())
    }
}

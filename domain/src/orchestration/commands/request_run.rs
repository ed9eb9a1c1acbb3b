use crate::id::{ContextTag, KeyId, RunId};
use crate::orchestration::{
    Asked, Definition, Phase, Requested, Resolution, Run, RunError, RunEvent,
};
use crate::text::{Context, ModelId, Title};

/// Requests a run. The definition has been checked and a credential was found: a request that is
/// refused creates no run.
#[derive(Clone, Debug)]
pub struct RequestRun {
    /// Id of the new run.
    pub run: RunId,
    /// Its agents and their work.
    pub definition: Definition,
    /// The title, if the owner gives one.
    pub title: Option<Title>,
    /// The context, by which a default key is found.
    pub context: Context,
    /// Keyed hash of the context.
    pub context_tag: ContextTag,
    /// The key that the request names, if any.
    pub named_key: Option<KeyId>,
    /// The credential that it uses, and why.
    pub resolution: Resolution,
    /// The model of agents that name none.
    pub model: ModelId,
    /// Most tokens of a reply, for agents that name no bound.
    pub max_tokens: u32,
    /// Most calls of the run at a time.
    pub max_concurrency: u32,
    /// Most attempts of one step that count.
    pub max_attempts: u32,
    /// Version of the price table.
    pub price_table: String,
}

impl RequestRun {
    pub(super) fn decide(self, run: &Run) -> Result<Vec<RunEvent>, RunError> {
        if run.phase != Phase::None {
            return Err(RunError::IdInUse);
        }
        let facts = Requested {
            run: self.run,
            pattern: self.definition.pattern(),
            agents: u32::try_from(self.definition.agents.len()).unwrap_or(u32::MAX),
            model: self.model.as_str().to_owned(),
            max_tokens: self.max_tokens,
            max_concurrency: self.max_concurrency,
            max_attempts: self.max_attempts,
            price_table: self.price_table,
            renderer: crate::pattern::RENDERER,
            context_tag: self.context_tag,
            named_key: self.named_key,
            resolution: self.resolution,
        };
        let content = Asked {
            title: self.title.map(Title::into_string),
            context: self.context.into_string(),
            definition: self.definition,
        };
        Ok(vec![RunEvent::RunRequested(facts, Some(content))])
    }
}

//! Commands on runs: a request is durable when its response is sent; an engine, in this process or
//! another, carries it out.

use super::control_run::ControlRecipe;
use super::preconditions::Precondition;
use super::records::Repeat;
use super::start_run::{Begun, StartRecipe};
use super::{Bus, Entry};
use crate::credentials::{ModelList, Resolver, recorded};
use crate::limits::CommandLimits;
use claviger_application::{
    Answer, CommandContext, RunCommand, RunCommands, RunDone, RunReads, StartRun,
};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{KeyId, RunId, UserId};
use claviger_domain::orchestration::{
    Bounds, ControlRequest, Definition, DefinitionError, Resolution,
};
use claviger_domain::text::{Context, ModelId, Title};
use serde_json::{Value, json};
use std::sync::Arc;

/// The highest `maxConcurrency` a request may ask for.
const CONCURRENCY_MAX: u32 = 32;

/// Defaults and limits for requested runs.
#[derive(Clone, Debug)]
pub struct RunSettings {
    pub bounds: Bounds,
    /// Most tokens of a reply where an agent names no limit.
    pub max_tokens: u32,
    /// The same for a design.
    pub design_max_tokens: u32,
    /// Concurrent calls of a run where the request names no limit.
    pub max_concurrency: u32,
    /// Most counted attempts of a step.
    pub max_attempts: u32,
    /// Most unfinished runs of a user.
    pub max_open: u64,
    /// Version of the price table.
    pub price_table: String,
}

impl RunSettings {
    /// The defaults, with a price table.
    pub fn new(price_table: &str) -> Self {
        Self {
            bounds: Bounds::default(),
            max_tokens: 16_384,
            design_max_tokens: 32_768,
            max_concurrency: 8,
            max_attempts: 4,
            max_open: 1_000,
            price_table: price_table.to_owned(),
        }
    }
}

/// Notifies the engine of a run that may need work.
pub trait WakeEngine: Send + Sync {
    /// Sends a hint about a run of this user. If it is lost, the engine's next scan of the open
    /// runs finds the run.
    fn wake(&self, owner: UserId, run: RunId);
}

#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct RunBus {
    /// Loads, seals and appends.
    pub bus: Arc<Bus>,
    pub resolver: Arc<Resolver>,
    /// Reads the run to resume.
    pub runs: Arc<dyn RunReads>,
    pub settings: Arc<RunSettings>,
    pub engine: Arc<dyn WakeEngine>,
    pub limits: Arc<CommandLimits>,
}

impl RunCommands for RunBus {
    fn run(&self, context: CommandContext, command: RunCommand) -> Answer<'_, RunDone> {
        let (this, owner) = (self.clone(), context.owner);
        let entry = Entry { kind: command.kind(), owner, bytes: bytes_of(&command) };
        let work = async move {
            match command {
                RunCommand::Start(start) => this.start(context, *start).await,
                RunCommand::Ask { run, ask } => this.ask(context, run, ask).await,
            }
        };
        Box::pin(self.bus.enter(entry, &self.limits, work))
    }
}

impl RunBus {
    async fn start(&self, context: CommandContext, start: StartRun) -> Result<RunDone, Failure> {
        let StartRun { draft, title, model, key, context: of, max_concurrency } = start;
        let definition =
            draft.check(&self.settings.bounds).map_err(|error| definition_failure(&error))?;
        let max_concurrency = concurrency(max_concurrency, self.settings.max_concurrency)?;
        let input = canonical(
            &definition,
            &json!({
                "title": title.as_ref().map(Title::as_str),
                "model": model.as_ref().map(ModelId::as_str),
                "keyId": key,
                "context": of.as_str(),
                "maxConcurrency": max_concurrency,
            }),
        )?;
        let keys = self.bus.keys_of(context.owner).await?;
        let prepared = self
            .bus
            .prepared(context, &keys, ("startOrchestration", &input))
            .requiring(Precondition::OpenRunsBelow(self.settings.max_open));
        if let Some(repeat) = self.bus.repeated(&prepared).await? {
            return replayed(repeat);
        }
        let run = RunId(self.bus.env.ids.next());
        let begun = Begun { definition, title, model, key, context: of, max_concurrency };
        let context = prepared.context.clone();
        let mut recipe = StartRecipe { runs: self.clone(), context, keys, run, begun, ring: 0 };
        self.bus.execute(&prepared, &mut recipe).await
    }

    async fn ask(
        &self,
        context: CommandContext,
        run: RunId,
        request: ControlRequest,
    ) -> Result<RunDone, Failure> {
        let mutation = match request {
            ControlRequest::Cancel => "cancelOrchestration",
            ControlRequest::Pause => "pauseOrchestration",
            ControlRequest::Resume => "resumeOrchestration",
        };
        let keys = self.bus.keys_of(context.owner).await?;
        let prepared = self
            .bus
            .prepared(context, &keys, (mutation, run.0.as_bytes()))
            .requiring(Precondition::OwnsRun(run));
        if let Some(repeat) = self.bus.repeated(&prepared).await? {
            return replayed(repeat);
        }
        let context = prepared.context.clone();
        let mut recipe = ControlRecipe::new(self.clone(), context, run, request);
        self.bus.execute(&prepared, &mut recipe).await
    }

    /// The resolution to record. If a key is named, that key is used or the request is refused.
    pub(super) async fn resolved(
        &self,
        context: &CommandContext,
        of: &Context,
        key: Option<KeyId>,
    ) -> Result<Resolution, Failure> {
        let candidates = self.resolver.resolve(context.owner, &context.roles, of, key).await?;
        let resolution = recorded(&candidates);
        if resolution.chosen().is_some() {
            return Ok(resolution);
        }
        let why = candidates
            .iter()
            .map(|candidate| candidate.reason.as_str())
            .collect::<Vec<_>>()
            .join("; ");
        if key.is_some() && candidates.iter().all(|candidate| candidate.key.is_none()) {
            return Err(Failure::not_found("key").at(&["keyId"]));
        }
        let failure = if key.is_some() {
            Failure::new(ErrorCode::KeyUnavailable, format!("the key cannot be used: {why}"))
                .at(&["keyId"])
        } else {
            let message = format!(
                "there is no credential to run on: add a key and make it your default ({why})"
            );
            Failure::new(ErrorCode::NoCredential, message)
        };
        Err(failure.with(FailureDetail::Resolution(resolution)))
    }

    /// The model of agents that name none. A model that the operator's credential is known to lack
    /// is refused, with a list of those it has.
    pub(super) async fn model(
        &self,
        given: Option<ModelId>,
        definition: &Definition,
        resolution: &Resolution,
    ) -> Result<ModelId, Failure> {
        let (models, now) = (&self.resolver.models, self.bus.env.clock.now());
        let default = models.default_model(now).ok_or_else(Failure::internal)?;
        let named = definition.agents.iter().filter_map(|agent| agent.model.as_deref());
        let asked: Vec<_> =
            named.chain(given.as_ref().map(ModelId::as_str)).map(str::to_owned).collect();
        let of_operator = resolution.chosen().is_some_and(|chosen| chosen.key.is_none());
        let known = if of_operator { models.known_to_operator(now).await } else { None };
        if let Some(known) = known
            && let Some(unknown) = asked.iter().find(|model| !ModelList::is_among(model, &known))
        {
            let those = known.iter().map(ModelId::as_str).collect::<Vec<_>>().join(", ");
            let message = format!(
                "this server's key does not have the model {unknown}: choose one of {those}"
            );
            return Err(Failure::new(ErrorCode::Validation, message).at(&["model"]));
        }
        Ok(given.unwrap_or(default))
    }
}

/// Bytes of the events and rows of a command besides its own texts, about.
const OVERHEAD: usize = 2 * 1024;

fn bytes_of(command: &RunCommand) -> usize {
    match command {
        RunCommand::Start(start) => OVERHEAD.saturating_add(start.draft.bytes()),
        RunCommand::Ask { .. } => OVERHEAD,
    }
}

pub(super) fn replayed(repeat: Repeat) -> Result<RunDone, Failure> {
    let run = RunId(repeat.subject.ok_or_else(Failure::internal)?);
    Ok(RunDone { commit: repeat.commit, run })
}

/// The input of a request hash: JSON with sorted keys, and the pattern as it is stored.
fn canonical(definition: &Definition, rest: &Value) -> Result<Vec<u8>, Failure> {
    let pattern = serde_json::to_value(definition).map_err(|_| Failure::internal())?;
    // serde_json keeps object keys sorted.
    serde_json::to_vec(&json!({ "pattern": pattern, "input": rest }))
        .map_err(|_| Failure::internal())
}

fn concurrency(given: Option<u32>, default: u32) -> Result<u32, Failure> {
    match given {
        None => Ok(default),
        Some(found) if (1..=CONCURRENCY_MAX).contains(&found) => Ok(found),
        Some(found) => {
            let message = format!("maxConcurrency must be 1 to {CONCURRENCY_MAX}, got {found}");
            Err(Failure::new(ErrorCode::Validation, message).at(&["maxConcurrency"]))
        }
    }
}

/// A rule of the pattern that the draft breaks; the path begins at the pattern.
fn definition_failure(error: &DefinitionError) -> Failure {
    let path: Vec<&str> =
        std::iter::once("pattern").chain(error.path.iter().map(String::as_str)).collect();
    Failure::new(error.code(), error.to_string()).at(&path)
}

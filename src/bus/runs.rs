//! Commands on runs: a request is durable when its response is sent; an engine, in this process or
//! another, carries it out.

use super::keys::append_failure;
use super::{Bus, MAX_TRIES, RECORD_MS, contended, same_request};
use crate::credentials::recorded;
use crate::keychain::UserKeys;
use crate::keychain::{plain_events, seal_events};
use crate::reads::StoreReads;
use crate::system::failure::store_failure;
use crate::views::RunRows;
use claviger_application::{
    Answer, Call, Caller, Commit, RunCommand, RunCommands, RunDone, StartRun,
};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{CommandId, KeyId, RunId, UserId};
use claviger_domain::orchestration::{
    Bounds, ControlRequest, ControlRun, Definition, DefinitionError, RequestRun, Resolution, Run,
    RunCommand as Command, RunControl, RunError, RunEvent, Work,
};
use claviger_domain::stream::StreamName;
use claviger_domain::text::{Context, ModelId, Title};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{
    Append, AppendError, Appended, CommandRecord, Expected, OPEN_RUNS, Page, RUNS, RecordChange,
};
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
    /// A hint about a run of this user. A lost one is made up for by the engine's next poll of the
    /// open runs.
    fn wake(&self, owner: UserId, run: RunId);
}

#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct RunBus {
    /// Loads, seals and appends.
    pub bus: Arc<Bus>,
    /// Resolves credentials.
    pub reads: Arc<StoreReads>,
    pub settings: Arc<RunSettings>,
    pub engine: Arc<dyn WakeEngine>,
}

/// A run to be requested, after its definition was checked.
struct Begun {
    definition: Definition,
    title: Option<Title>,
    model: Option<ModelId>,
    key: Option<KeyId>,
    context: Context,
    max_concurrency: u32,
}

/// A command in progress.
struct Order {
    call: Call,
    keys: UserKeys,
    command_id: CommandId,
    request_hash: Option<[u8; 32]>,
}

impl RunCommands for RunBus {
    fn run(&self, call: Call, caller: Caller, command: RunCommand) -> Answer<'_, RunDone> {
        let this = self.clone();
        Box::pin(async move {
            let bus = Arc::clone(&this.bus);
            bus.detached(async move {
                match command {
                    RunCommand::Start(start) => this.start(call, caller, *start).await,
                    RunCommand::Ask { run, ask } => this.ask(call, caller, run, ask).await,
                }
            })
            .await
        })
    }
}

impl RunBus {
    async fn order(&self, call: Call, mutation: &str, input: &[u8]) -> Result<Order, Failure> {
        let keys = self.bus.keys_of(call.owner).await?;
        let (command_id, request_hash) = match &call.idempotency_key {
            Some(key) => (
                keys.index.command_id(mutation, key.as_str()),
                Some(keys.index.request_hash(mutation, input)),
            ),
            None => (CommandId(self.bus.env.ids.next().into_bytes()), None),
        };
        Ok(Order { call, keys, command_id, request_hash })
    }

    /// The result of the first request, if this one is a repeat.
    async fn replayed(&self, order: &Order) -> Result<Option<RunDone>, Failure> {
        let Some(request_hash) = &order.request_hash else { return Ok(None) };
        let record = self
            .bus
            .store
            .command_record(order.command_id)
            .await
            .map_err(|error| store_failure(&error))?;
        let Some(record) = record else { return Ok(None) };
        same_request(&record, request_hash)?;
        replay(record).map(Some)
    }

    fn record(&self, order: &Order, run: RunId) -> Option<RecordChange> {
        order.request_hash.map(|request_hash| RecordChange::Insert {
            request_hash,
            subject: Some(run.0),
            open: false,
            expires_at: self.bus.env.clock.now().plus_ms(RECORD_MS),
        })
    }

    async fn start(&self, call: Call, caller: Caller, start: StartRun) -> Result<RunDone, Failure> {
        let StartRun { draft, title, model, key, context, max_concurrency } = start;
        let definition =
            draft.check(&self.settings.bounds).map_err(|error| definition_failure(&error))?;
        let max_concurrency = concurrency(max_concurrency, self.settings.max_concurrency)?;
        let input = canonical(
            &definition,
            &json!({
                "title": title.as_ref().map(Title::as_str),
                "model": model.as_ref().map(ModelId::as_str),
                "keyId": key,
                "context": context.as_str(),
                "maxConcurrency": max_concurrency,
            }),
        )?;
        let order = self.order(call, "startOrchestration", &input).await?;
        if let Some(done) = self.replayed(&order).await? {
            return Ok(done);
        }
        let begun = Begun { definition, title, model, key, context, max_concurrency };
        match self.begin(&order, caller, begun).await {
            Ok(done) => Ok(done),
            // A repeat that raced its first request must not be refused because of the first one's
            // effects.
            Err(failure) => self.replayed(&order).await?.ok_or(failure),
        }
    }

    async fn begin(&self, order: &Order, caller: Caller, begun: Begun) -> Result<RunDone, Failure> {
        let Begun { definition, title, model, key, context, max_concurrency } = begun;
        self.check_open(order.call.owner).await?;
        let resolution = self.resolved(caller, &context, key).await?;
        let model = self.model(model, &definition, &resolution).await?;
        let run = RunId(self.bus.env.ids.next());
        let is_design = matches!(definition.work, Work::Design { .. });
        let request = RequestRun {
            run,
            definition,
            title,
            context_tag: order.keys.index.context_tag(context.as_str()),
            context,
            named_key: key,
            resolution,
            model,
            max_tokens: if is_design {
                self.settings.design_max_tokens
            } else {
                self.settings.max_tokens
            },
            max_concurrency,
            max_attempts: self.settings.max_attempts,
            price_table: self.settings.price_table.clone(),
        };
        let events = Command::from(request).decide(&Run::default()).map_err(refusal)?;
        self.request(order, run, events).await
    }

    /// Commits the request, and wakes the engine.
    async fn request(
        &self,
        order: &Order,
        run: RunId,
        events: Vec<RunEvent>,
    ) -> Result<RunDone, Failure> {
        let (owner, stream) = (order.call.owner, StreamName::Run(run.0));
        let mut newer = None;
        for _ in 0..MAX_TRIES {
            let keys = newer.as_ref().unwrap_or(&order.keys);
            let (key, row) = self.bus.keychain.new_content_key(keys, stream)?;
            let sealed = seal_events(&events, &key, (owner, stream, 0), &self.bus.env)?;
            let rows = RunRows {
                before: None,
                events: events.clone(),
                owner,
                key: Arc::new(key),
                env: self.bus.env.clone(),
            };
            let append = Append {
                rows: vec![row],
                inline: Some(Arc::new(rows)),
                record: self.record(order, run),
                ..self.append_of(order, stream, 0, sealed)
            };
            match self.bus.append(append).await {
                Ok(appended) => {
                    self.engine.wake(owner, run);
                    return Ok(RunDone { commit: commit(stream, &appended), run });
                }
                Err(AppendError::UserKeyMoved { .. }) => {
                    newer = Some(self.bus.keys_of(owner).await?)
                }
                Err(AppendError::Repeated(record)) => return repeated(order, *record),
                Err(error) => return Err(append_failure(&error)),
            }
        }
        Err(contended())
    }

    fn append_of(
        &self,
        order: &Order,
        stream: StreamName,
        version: u64,
        events: Vec<claviger_projections::ports::NewEvent>,
    ) -> Append {
        Append {
            stream,
            owner: Some(order.call.owner),
            expected: if version == 0 { Expected::NoStream } else { Expected::Exact(version) },
            events,
            at: self.bus.env.clock.now(),
            actor: order.call.actor,
            command_id: order.command_id,
            correlation_id: order.call.correlation,
            causation_id: None,
            rows: Vec::new(),
            claims: Vec::new(),
            inline: None,
            record: None,
        }
    }

    async fn check_open(&self, owner: UserId) -> Result<(), Failure> {
        let page = Page { limit: 1, ..Page::default() };
        let open = self
            .bus
            .store
            .page(OPEN_RUNS, owner, page)
            .await
            .map_err(|error| store_failure(&error))?
            .total;
        let max = self.settings.max_open;
        if open < max {
            return Ok(());
        }
        let message = format!(
            "{open} of your orchestrations have not ended, and the limit is {max}: wait for some, \
             or cancel them"
        );
        Err(Failure::new(ErrorCode::LimitExceeded, message))
    }

    /// The resolution to record. If a key is named, that key is used or the request is refused.
    async fn resolved(
        &self,
        caller: Caller,
        context: &Context,
        key: Option<KeyId>,
    ) -> Result<Resolution, Failure> {
        let candidates = self.reads.resolve(caller, context.clone(), key).await?;
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
            return Err(Failure::not_found("key").at(&["input", "keyId"]));
        }
        let failure = if key.is_some() {
            Failure::new(ErrorCode::KeyUnavailable, format!("the key cannot be used: {why}"))
                .at(&["input", "keyId"])
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
    async fn model(
        &self,
        given: Option<ModelId>,
        definition: &Definition,
        resolution: &Resolution,
    ) -> Result<ModelId, Failure> {
        let now = self.bus.env.clock.now();
        let default = self.reads.models.default_model(now).ok_or_else(Failure::internal)?;
        let named = definition.agents.iter().filter_map(|agent| agent.model.as_deref());
        let asked: Vec<_> =
            named.chain(given.as_ref().map(ModelId::as_str)).map(str::to_owned).collect();
        let of_operator = resolution.chosen().is_some_and(|chosen| chosen.key.is_none());
        if let Some(known) = self.reads.models.known_to_operator(now).await.filter(|_| of_operator)
            && let Some(unknown) =
                asked.iter().find(|model| !known.iter().any(|id| id.as_str() == **model))
        {
            let those = known.iter().map(ModelId::as_str).collect::<Vec<_>>().join(", ");
            let message = format!(
                "this server's key does not have the model {unknown}: choose one of {those}"
            );
            return Err(Failure::new(ErrorCode::Validation, message).at(&["input", "model"]));
        }
        Ok(given.unwrap_or(default))
    }

    async fn ask(
        &self,
        call: Call,
        caller: Caller,
        run: RunId,
        ask: ControlRequest,
    ) -> Result<RunDone, Failure> {
        let (owner, stream) = (call.owner, StreamName::RunControl(run.0));
        let mutation = match ask {
            ControlRequest::Cancel => "cancelOrchestration",
            ControlRequest::Pause => "pauseOrchestration",
            ControlRequest::Resume => "resumeOrchestration",
        };
        let order = self.order(call, mutation, run.0.as_bytes()).await?;
        if let Some(done) = self.replayed(&order).await? {
            return Ok(done);
        }
        let row =
            self.bus.store.row(RUNS, owner, run.0).await.map_err(|error| store_failure(&error))?;
        if row.is_none() {
            return Err(refusal(RunError::NotFound));
        }
        let _turn = self.bus.locks.lock(stream).await;
        for _ in 0..MAX_TRIES {
            let (_, state) = self.bus.runs.load(&*self.bus.store, StreamName::Run(run.0)).await?;
            let (version, control) = self.bus.controls.load(&*self.bus.store, stream).await?;
            let decided = match (ControlRun { run, request: ask }).decide(&state, &control) {
                Ok(decided) => decided,
                // A repeat that raced its first request must not be refused because of the first
                // one's effects.
                Err(error) => {
                    return self.replayed(&order).await?.map_or_else(|| Err(refusal(error)), Ok);
                }
            };
            let Some(event) = decided else {
                // The run is already in the requested state, or the same request is pending.
                self.engine.wake(owner, run);
                return match self.replayed(&order).await? {
                    Some(done) => Ok(done),
                    None => self.nothing_to_do(stream, version, run).await,
                };
            };
            if ask == ControlRequest::Resume {
                self.check_resumable(caller.clone(), run).await?;
            }
            let events = plain_events(&[event], &self.bus.env)?;
            let append = Append {
                record: self.record(&order, run),
                ..self.append_of(&order, stream, version, events)
            };
            match self.bus.append(append).await {
                Ok(appended) => {
                    self.engine.wake(owner, run);
                    return Ok(RunDone { commit: commit(stream, &appended), run });
                }
                Err(AppendError::Conflict { .. }) => {}
                Err(AppendError::Repeated(record)) => return repeated(&order, *record),
                Err(error) => return Err(append_failure(&error)),
            }
        }
        Err(contended())
    }

    /// A run without a credential would pause again at once, so resuming it is refused.
    async fn check_resumable(&self, caller: Caller, run: RunId) -> Result<(), Failure> {
        let Some(reader) = self.reads.reader_of(caller.user, run).await? else {
            return Err(refusal(RunError::NotFound));
        };
        let feed = reader.whole().await?;
        let run = feed.fold().run();
        let named = run.settings.as_ref().and_then(|settings| settings.named_key);
        let context = run.context.as_deref().and_then(|context| Context::parse(context).ok());
        let Some(context) = context else { return Ok(()) };
        self.resolved(caller, &context, named).await.map(drop)
    }

    async fn nothing_to_do(
        &self,
        stream: StreamName,
        version: u64,
        run: RunId,
    ) -> Result<RunDone, Failure> {
        let head = self.bus.store.head().await.map_err(|error| store_failure(&error))?;
        let commit = Commit {
            position: head.position,
            stream,
            version,
            event_ids: Vec::new(),
            replayed: false,
        };
        Ok(RunDone { commit, run })
    }
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
            Err(Failure::new(ErrorCode::Validation, message).at(&["input", "maxConcurrency"]))
        }
    }
}

fn commit(stream: StreamName, appended: &Appended) -> Commit {
    Commit {
        position: appended.position,
        stream,
        version: appended.version,
        event_ids: appended.placed.iter().map(|placed| placed.id).collect(),
        replayed: false,
    }
}

fn repeated(order: &Order, record: CommandRecord) -> Result<RunDone, Failure> {
    if let Some(request_hash) = &order.request_hash {
        same_request(&record, request_hash)?;
    }
    replay(record)
}

fn replay(record: CommandRecord) -> Result<RunDone, Failure> {
    let run = RunId(record.subject.ok_or_else(Failure::internal)?);
    let CommandRecord { position, stream, version, event_ids, .. } = record;
    Ok(RunDone { commit: Commit { position, stream, version, event_ids, replayed: true }, run })
}

fn definition_failure(error: &DefinitionError) -> Failure {
    let path: Vec<&str> = error.path.iter().map(String::as_str).collect();
    Failure::new(error.code(), error.to_string()).at(&path)
}

fn refusal(error: RunError) -> Failure {
    if error.code() == ErrorCode::Internal {
        tracing::error!(%error, "a command on a run is inconsistent");
        return Failure::internal();
    }
    Failure::new(error.code(), error.to_string())
}

impl Bus {
    /// The requests made to a run so far.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(crate) async fn run_control(&self, run: RunId) -> Result<RunControl, Failure> {
        self.controls
            .load(&*self.store, StreamName::RunControl(run.0))
            .await
            .map(|(_, control)| control)
    }

    /// The version of a key's secret to use now; `None` for a key that is deleted, inactive or
    /// expired.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(crate) async fn usable_secret(
        &self,
        owner: UserId,
        key: KeyId,
        now: Timestamp,
    ) -> Result<Option<u32>, Failure> {
        let (_, ring) = self.rings.load(&*self.store, StreamName::KeyRing(owner)).await?;
        let usable = ring
            .keys
            .get(&key)
            .filter(|key| key.is_active && key.expires_at.is_none_or(|at| at > now));
        Ok(usable.map(|key| key.secret_version))
    }
}

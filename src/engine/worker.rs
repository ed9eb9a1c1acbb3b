//! One run in the hands of this process, from the claim to its end, its pause, or its loss.

use super::call::{Call, next_item};
use super::credentials;
use super::decide::{Announced, Flow, Given};
use super::journal::{Journal, Lost, Origin, unreadable};
use super::parts::Shared;
use super::queue::{Lane, Ticket};
use crate::anthropic::stream::CallItem;
use crate::live::EventHub;
use crate::reads::{RunReader, recorded};
use claviger_domain::failure::Failure;
use claviger_domain::id::{BootId, RunId, StepId, UserId};
use claviger_domain::orchestration::{
    ClaimRun, ControlRequest, PauseReason, Phase, Resolution, Run, RunControl, RunError, RunEvent,
};
use claviger_domain::text::Context;
use claviger_domain::timestamp::Timestamp;
use claviger_graphql::ports::{Caller, EventView};
use claviger_projections::feed::{Registration, Topic};
use claviger_projections::run_feed::DeltaItem;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What a run's worker listens to besides its calls.
#[derive(Clone)]
pub(super) struct Signals {
    /// Begin nothing more; end when the calls under way have.
    pub(super) drain: CancellationToken,
    /// End now: say what calls under way used, and leave the run to whoever comes.
    pub(super) abort: CancellationToken,
    /// The lease is lost: write nothing more.
    pub(super) lost: CancellationToken,
}

/// What became of a run in this process's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There was nothing to do, or everything was done for now.
    Rests,
    /// It is another's, or may be soon: the next look decides.
    Left,
    /// It can't go on by a fault of ours: it isn't tried again in this process.
    Broken,
}

/// A run at work.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) id: RunId,
    owner: UserId,
    pub(super) run: Run,
    pub(super) control: RunControl,
    journal: Journal,
    asks: Registration<Arc<EventView>>,
    /// Decided, not yet written down.
    pub(super) batch: Vec<RunEvent>,
    pub(super) calls: Vec<Call>,
    pub(super) announced: Vec<Announced>,
    /// Steps that stand in the queue of their credential.
    pub(super) queued: HashSet<StepId>,
    waiting: FuturesUnordered<BoxFuture<'static, (StepId, Option<Ticket>)>>,
    pub(super) tickets: Vec<(StepId, Ticket)>,
    /// No attempt is started any more, and when none is under way the run stands still.
    pub(super) pausing: Option<PauseReason>,
    pub(super) is_draining: bool,
    /// When the next attempt that was put off is due.
    pub(super) due: Option<Timestamp>,
    pub(super) first_tried: HashMap<StepId, Timestamp>,
}

/// Whose running runs may be claimed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estate(pub(super) Option<BootId>);

/// Works on a run as long as there is something to do.
pub(super) async fn work(
    shared: Arc<Shared>,
    place: (UserId, RunId),
    estate: Estate,
    signals: Signals,
) -> Outcome {
    let run = place.1;
    let hub: &Arc<EventHub> = &shared.parts.hub;
    // Before anything is read: what is asked meanwhile is told.
    let asks = hub.register(Topic::RunControl(run));
    let working = async {
        let Some(mut worker) = Worker::load(Arc::clone(&shared), place, estate, asks).await? else {
            return Ok(Outcome::Rests);
        };
        worker.drive(&signals).await
    };
    let ended = tokio::select! {
        ended = working => ended,
        () = signals.lost.cancelled() => return Outcome::Left,
    };
    match ended {
        Ok(outcome) => outcome,
        Err(Stop::Lost(Lost::Erased)) => Outcome::Rests,
        Err(Stop::Lost(lost)) => {
            tracing::info!(%run, reason = %lost, "a run was left");
            Outcome::Left
        }
        Err(Stop::Rule(error)) => {
            tracing::error!(%run, %error, "a run can't go on: this is a fault of the program");
            Outcome::Broken
        }
    }
}

/// Why a worker stops in its middle.
pub(super) enum Stop {
    Lost(Lost),
    Rule(RunError),
}

impl From<Lost> for Stop {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl From<RunError> for Stop {
    fn from(error: RunError) -> Self {
        Self::Rule(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Lost(unreadable(failure))
    }
}

impl Worker {
    /// Reads the run and claims it, if there is something to do and it may be claimed.
    async fn load(
        shared: Arc<Shared>,
        (owner, id): (UserId, RunId),
        estate: Estate,
        asks: Registration<Arc<EventView>>,
    ) -> Result<Option<Self>, Stop> {
        let reads = &shared.parts.reads;
        let (store, keychain) = (Arc::clone(&reads.store), Arc::clone(&reads.keychain));
        let reader = RunReader { store, keychain, owner, run: id };
        let (Some(key), Some(key_row)) = (reader.key().await?, reader.key_row().await?) else {
            return Ok(None);
        };
        let loaded = reader.loaded(Some(&key)).await?;
        let run = loaded.feed.fold().run().clone();
        let control = shared.parts.bus.run_control(id).await?;
        if !may_claim(&run, &control, estate, BootId(shared.parts.holder.0)) {
            return Ok(None);
        }
        let kept = loaded.feed.fold().kept();
        let origin = Origin {
            run: id,
            owner,
            key,
            key_row,
            correlation: loaded.correlation,
            requested: loaded.requested,
            summary: loaded.summary,
            version: run.version,
            rows: loaded.feed.rows_after().1,
        };
        let journal = Journal::new(Arc::clone(&shared), origin);
        let mut worker = Self {
            shared,
            id,
            owner,
            run,
            control,
            journal,
            asks,
            batch: Vec::new(),
            calls: Vec::new(),
            announced: Vec::new(),
            queued: HashSet::new(),
            waiting: FuturesUnordered::new(),
            tickets: Vec::new(),
            pausing: None,
            is_draining: false,
            due: None,
            first_tried: HashMap::new(),
        };
        let (by, now) = (BootId(worker.shared.parts.holder.0), worker.now());
        worker.take(ClaimRun { run: id, owner: by, kept, now })?;
        Ok(Some(worker))
    }

    fn now(&self) -> Timestamp {
        self.shared.effects().clock.now()
    }

    async fn drive(&mut self, signals: &Signals) -> Result<Outcome, Stop> {
        loop {
            if self.settle().await? == Flow::Rests {
                if self.is_asked_to_go_on().await? {
                    continue;
                }
                return Ok(Outcome::Rests);
            }
            if self.is_draining && self.calls.is_empty() {
                return Ok(Outcome::Left);
            }
            // Text alone decides nothing.
            while self.wait(signals).await? {}
            if signals.abort.is_cancelled() {
                let now = self.now();
                self.interrupt_calls(now)?;
                self.write_down().await?;
                return Ok(Outcome::Left);
            }
        }
    }

    /// Whether something was asked of a run that stands still now while its pause was written down. Whoever asks after that sees the
    /// pause and has its own process claim the run; whoever asked before saw a run that is ours, and left it to us.
    async fn is_asked_to_go_on(&mut self) -> Result<bool, Stop> {
        if !matches!(self.run.phase, Phase::Paused(_)) {
            return Ok(false);
        }
        self.control = self.shared.parts.bus.run_control(self.id).await?;
        Ok(matches!(
            self.control.pending(self.run.control),
            Some(ControlRequest::Cancel | ControlRequest::Resume)
        ))
    }

    /// Decides, writes down, and makes the calls that were announced.
    async fn settle(&mut self) -> Result<Flow, Stop> {
        let Some(given) = self.given().await? else { return Err(Lost::Erased.into()) };
        let flow = self.decide(&given)?;
        self.write_down().await?;
        for announced in std::mem::take(&mut self.announced) {
            let Announced { step, attempt, credential, request, request_hash, ticket } = announced;
            let model = request.model.clone();
            self.calls.push(Call {
                step,
                attempt,
                credential,
                model,
                request_hash,
                stream: credentials::call(&self.shared, self.owner, credential, request),
                _ticket: ticket,
                started: Instant::now(),
                first_token_ms: None,
                text: String::new(),
                usage: claviger_domain::orchestration::Usage::default(),
            });
        }
        Ok(flow)
    }

    async fn write_down(&mut self) -> Result<(), Stop> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.journal.append(batch).await?;
        }
        Ok(())
    }

    /// What a decision relies on; `None` once the owner was erased.
    async fn given(&mut self) -> Result<Option<Given>, Stop> {
        let Some(keys) = self.shared.parts.reads.keychain.user(self.owner).await? else {
            return Ok(None);
        };
        let is_resumed = matches!(self.run.phase, Phase::Paused(_))
            && self.control.pending(self.run.control) == Some(ControlRequest::Resume);
        let resolution = if is_resumed { Some(self.resolve().await?) } else { None };
        let credential = match resolution.as_ref().or(self.run.resolution.as_ref()) {
            Some(chosen) => credentials::current(&self.shared, self.owner, chosen).await?,
            None => None,
        };
        Ok(Some(Given { now: self.now(), keys, credential, resolution }))
    }

    /// Which credential the run uses from here on.
    async fn resolve(&mut self) -> Result<Resolution, Stop> {
        let bus = &self.shared.parts.bus;
        let roles = bus
            .account_view(self.owner, None)
            .await?
            .map(|account| account.facts.roles)
            .unwrap_or_default();
        let caller = Caller {
            user: self.owner,
            session: claviger_domain::id::SessionId(Uuid::nil()),
            roles,
            foreign: None,
        };
        let named = self.run.settings.as_ref().and_then(|settings| settings.named_key);
        let context = self.run.context.as_deref().and_then(|context| Context::parse(context).ok());
        let Some(context) = context else { return Err(Lost::Erased.into()) };
        let candidates = self.shared.parts.reads.resolve(caller, context, named).await?;
        Ok(recorded(&candidates))
    }

    /// Waits for one thing. `false` if there may be something to decide.
    async fn wait(&mut self, signals: &Signals) -> Result<bool, Stop> {
        let due = self.due.map(|due| Duration::from_millis(due.ms_since(self.now())));
        tokio::select! {
            () = signals.abort.cancelled() => return Ok(false),
            () = signals.drain.cancelled(), if !self.is_draining => self.is_draining = true,
            _ = self.asks.told() => {
                let control = self.shared.parts.bus.run_control(self.id).await?;
                let is_known = control.version() == self.control.version();
                self.control = control;
                return Ok(is_known);
            }
            Some((step, ticket)) = self.waiting.next(), if !self.waiting.is_empty() => {
                if let Some(ticket) = ticket && self.queued.remove(&step) {
                    self.tickets.push((step, ticket));
                }
            }
            (step, item) = next_item(&mut self.calls) => return self.hear(step, item).await,
            () = sleep(due.unwrap_or_default()), if due.is_some() => {}
        }
        Ok(false)
    }

    async fn hear(&mut self, step: StepId, item: Option<CallItem>) -> Result<bool, Stop> {
        if let Some(CallItem::Text(text)) = &item {
            if let Some(call) = self.calls.iter_mut().find(|call| call.step == step) {
                let item = DeltaItem {
                    step,
                    attempt: call.attempt,
                    offset: call.hear(text),
                    text: text.clone(),
                };
                self.shared.flush.write(self.id, item).await;
            }
            return Ok(true);
        }
        let now = self.now();
        self.heard(step, item, now)?;
        Ok(self.batch.is_empty())
    }

    pub(super) fn stand_in_queue(&mut self, step: StepId, lane: Lane) {
        self.queued.insert(step);
        let turn = self.shared.queue.take(lane, self.id);
        self.waiting.push(async move { (step, turn.await.ok()) }.boxed());
    }

    /// Whoever starts nothing more waits for nothing.
    pub(super) fn leave_queue(&mut self) {
        self.queued.clear();
        self.tickets.clear();
        self.waiting.clear();
    }
}

/// Whether there is something to do that this process may do. A run that another works on is left to it; one that stands still belongs
/// to nobody.
fn may_claim(run: &Run, control: &RunControl, Estate(estate): Estate, by: BootId) -> bool {
    let asked = control.pending(run.control);
    match run.phase {
        Phase::Queued => true,
        Phase::Running => run.owner == Some(by) || (estate.is_some() && run.owner == estate),
        Phase::Paused(_) => matches!(asked, Some(ControlRequest::Cancel | ControlRequest::Resume)),
        Phase::None | Phase::Completed | Phase::Failed | Phase::Cancelled => false,
    }
}

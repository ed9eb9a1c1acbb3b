//! One run that this process works on, from the claim to its end, its pause, or its loss. The
//! worker reads, waits and writes; [`super::decide`] makes the decisions.

use super::connection::{Arrived, Connection, next_item};
use super::credentials::{self, Standing, Usable};
use super::decide::{
    Decision, Effect, Flow, Given, PreparedCall, Received, Rules, WorkState, claim, decide,
    interrupt, may_claim, receive, suspend, withdraw,
};
use super::journal::{Journal, Lost, Origin, Written, unreadable};
use super::parts::Shared;
use super::queue::lane_of;
use super::requester::roles_of_requester;
use super::standby::Standby;
use super::task::{Chair, Idle, Outcome, Signals, Task};
use super::told::tell;
use crate::anthropic::stream::CallItem;
use crate::credentials::recorded;

use crate::keychain::UserKeys;
use crate::reads::RunReader;
use claviger_domain::failure::Failure;
use claviger_domain::id::{BootId, StepId, UserId};
use claviger_domain::orchestration::{Credential, PauseReason, Resolution, RunError, RunEvent};
use claviger_domain::text::Context;
use claviger_domain::timestamp::Timestamp;
use futures::future::FutureExt as _;
use futures::stream::StreamExt as _;
use std::sync::Arc;

/// The external inputs of a decision, read before it is made.
struct Facts {
    now: Timestamp,
    timer_ms: u64,
    keys: UserKeys,
    usable: Option<Usable>,
    resolution: Option<Resolution>,
}

/// A run in progress.
struct Worker {
    shared: Arc<Shared>,
    owner: UserId,
    state: WorkState,
    journal: Journal,
    /// The owner may sign in. No call is made for anybody else.
    is_owner_active: bool,
    chair: Chair,
    /// What the run waits for. [`WorkState::queued`] and [`WorkState::granted`] are its steps.
    standby: Box<Standby>,
    /// The last [`Idle`] that was sent.
    is_idle: bool,
    /// It only waits, and its place is wanted.
    leaves: bool,
    /// Decided and not yet appended.
    batch: Vec<RunEvent>,
    /// In the order of [`WorkState::calls`].
    connections: Vec<Connection>,
}

/// Works on a run while there is work for it.
pub(super) async fn work(
    shared: Arc<Shared>,
    task: Task,
    signals: Signals,
    chair: Chair,
) -> Outcome {
    let run = task.run;
    let working = async {
        match Worker::load(Arc::clone(&shared), task, chair).await? {
            Some(worker) => worker.drive(&signals).await,
            None => Ok(Outcome::Rests),
        }
    };
    let ended = tokio::select! {
        ended = working => ended,
        () = signals.lost.cancelled() => return Outcome::Left,
    };
    match ended {
        Ok(outcome) => outcome,
        Err(Stop::Lost(Lost::Erased)) => Outcome::Rests,
        Err(Stop::Lost(lost)) => {
            tracing::info!(%run, reason = %lost, "left a run");
            if lost == Lost::Unwritable { Outcome::Unreadable } else { Outcome::Left }
        }
        Err(Stop::Rule(error)) => {
            tracing::error!(%run, %error, "a run can't continue because of a fault in this program");
            Outcome::Broken
        }
    }
}

/// Why a worker stops before it is done.
enum Stop {
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
        Self::Lost(unreadable(&failure))
    }
}

impl Worker {
    /// Reads the run and claims it, if there is something to do and it may be claimed.
    async fn load(shared: Arc<Shared>, task: Task, chair: Chair) -> Result<Option<Self>, Stop> {
        let Task { owner, run: id, previous, standby } = task;
        let stood_by = standby.is_some();
        let mut standby =
            standby.unwrap_or_else(|| Box::new(Standby::new(&shared.parts.hub, owner, id)));
        let reads = &shared.parts.reads;
        let (store, keychain) = (Arc::clone(&reads.store), Arc::clone(&reads.keychain));
        let reader = RunReader { store, keychain, owner, run: id };
        let (Some(key), Some(key_row)) = (reader.key().await?, reader.key_row().await?) else {
            return Ok(None);
        };
        let loaded = reader.loaded(Some(&key)).await?;
        let run = loaded.feed.fold().run().clone();
        let control = shared.aggregates().run_control(id).await?;
        let by = BootId(shared.parts.holder.0);
        if !may_claim(&run, &control, previous, by) {
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
        let mut state = WorkState::new(id, run, control, rules(&shared));
        let mut batch = Vec::new();
        if stood_by && state.is_ours(by) {
            state.trying = std::mem::take(&mut standby.trying);
            state.queued = std::mem::take(&mut standby.queued);
            state.granted = standby.tickets.keys().copied().collect();
        } else {
            standby.leave_queue();
            batch = claim(&mut state, by, kept, shared.env().clock.now())?.events;
        }
        let is_owner_active = is_active(&shared, owner).await?;
        if !is_owner_active && !state.is_paused() {
            state.pausing = Some(PauseReason::KeyUnavailable);
        }
        let connections = Vec::new();
        let (is_idle, leaves) = (false, false);
        Ok(Some(Self {
            shared,
            owner,
            state,
            journal,
            is_owner_active,
            chair,
            standby,
            is_idle,
            leaves,
            batch,
            connections,
        }))
    }

    fn now(&self) -> Timestamp {
        self.shared.env().clock.now()
    }

    fn timer_ms(&self) -> u64 {
        self.shared.env().timer.elapsed_ms()
    }

    async fn drive(mut self, signals: &Signals) -> Result<Outcome, Stop> {
        loop {
            if self.settle().await? == Flow::Rests {
                if self.is_to_leave_pause().await? {
                    continue;
                }
                return Ok(Outcome::Rests);
            }
            if self.state.is_draining && self.connections.is_empty() {
                return Ok(Outcome::Left);
            }
            // Text alone decides nothing.
            while self.wait(signals).await? {}
            if self.leaves {
                return Ok(Outcome::Waits(self.stands_by()));
            }
            if signals.abort.is_cancelled() {
                let now = self.now();
                let interrupted = interrupt(&mut self.state, now)?;
                self.carry_out(interrupted).await;
                self.append_batch(None).await?;
                return Ok(Outcome::Left);
            }
        }
    }

    /// Ends, and keeps what the run waits for.
    fn stands_by(self) -> Box<Standby> {
        let Self { state, mut standby, .. } = self;
        standby.queued = state.queued;
        standby.due = state.due;
        standby.trying = state.trying;
        standby
    }

    /// Reports whether the run only waits.
    fn report_idle(&mut self, is_idle: bool) {
        if self.is_idle != is_idle {
            self.is_idle = is_idle;
            let Chair { run, number, .. } = self.chair;
            // Without its run set the worker is about to end.
            drop(self.chair.idle.send(Idle { run, number, waits: is_idle }));
        }
    }

    /// Whether a control request was made while the run's pause was appended. A later request sees
    /// the pause, and the process that receives it claims the run; an earlier one saw a run that
    /// belongs to this process, and left the work to it.
    async fn is_to_leave_pause(&mut self) -> Result<bool, Stop> {
        if !self.state.is_paused() {
            return Ok(false);
        }
        self.state.control = self.shared.aggregates().run_control(self.state.id).await?;
        Ok(self.state.is_to_leave_pause())
    }

    /// Decides, appends, and makes the calls that were announced. If their key changes or expires
    /// before they are, decides again.
    async fn settle(&mut self) -> Result<Flow, Stop> {
        loop {
            let Some(facts) = self.facts().await? else { return Err(Lost::Erased.into()) };
            let (mut flow, mut calls) = (Flow::NeedsTickets, Vec::new());
            while flow == Flow::NeedsTickets {
                let decision = self.decide(&facts)?;
                flow = decision.flow;
                calls.extend(self.carry_out(decision).await);
            }
            let standing = facts.usable.filter(|_| !calls.is_empty());
            if self.append_batch(standing.and_then(|usable| usable.standing)).await? {
                for call in calls {
                    self.make_call(call)?;
                }
                return Ok(flow);
            }
            withdraw(&mut self.state, &mut self.batch, calls);
            // The rest relies on no key. It may hold replies that were paid for, and is appended
            // before anything is read, which may fail.
            self.append_batch(None).await?;
        }
    }

    fn decide(&mut self, facts: &Facts) -> Result<Decision, RunError> {
        let shared = &self.shared;
        let models = &shared.parts.resolver.models;
        let given = Given {
            now: facts.now,
            timer_ms: facts.timer_ms,
            index: &facts.keys.index,
            credential: facts.usable.map(|usable| usable.credential),
            resolution: facts.resolution.as_ref(),
            max_output_tokens: &|model| {
                models.max_output_tokens(model).and_then(|most| u32::try_from(most).ok())
            },
            next_id: &|| StepId(shared.env().ids.next()),
        };
        decide(&mut self.state, &given)
    }

    /// Carries out the effects of a decision. The events are appended later, and then the returned
    /// calls are made.
    async fn carry_out(&mut self, decision: Decision) -> Vec<PreparedCall> {
        self.batch.extend(decision.events);
        for effect in decision.effects {
            match effect {
                Effect::TakeTicket { step, credential, model } => {
                    self.take_ticket(step, credential, &model);
                }
                Effect::LeaveQueue => {
                    self.standby.leave_queue();
                }
                Effect::Rest(rest) => self.shared.queue.rest(&rest),
                Effect::Learn { credential, organization } => {
                    let who = (lane_of(credential), credential.secret_version);
                    self.shared.queue.learn(who, &organization);
                }
                Effect::DropCall(step) => {
                    self.connections.retain(|connection| connection.step != step);
                }
                Effect::WriteText(item) => self.shared.flush.write(self.state.id, item).await,
            }
        }
        decision.calls
    }

    fn take_ticket(&mut self, step: StepId, credential: Credential, model: &str) {
        let lane = (lane_of(credential), model);
        let mut turn = self.shared.queue.take(self.owner, lane, self.state.id);
        if let Ok(ticket) = turn.try_recv() {
            self.state.granted.insert(step);
            self.standby.tickets.insert(step, ticket);
        } else {
            self.state.queued.insert(step);
            self.standby.turns.push(async move { (step, turn.await.ok()) }.boxed());
        }
    }

    fn make_call(&mut self, call: PreparedCall) -> Result<(), RunError> {
        let PreparedCall { step, credential, request, .. } = call;
        let ticket = self.standby.tickets.remove(&step).ok_or(RunError::WrongStep)?;
        let stream = credentials::call(&self.shared, self.owner, credential, request);
        self.connections.push(Connection::new(step, stream, ticket));
        Ok(())
    }

    /// Appends what was decided. `false` if nothing was appended, because the standing is over.
    async fn append_batch(&mut self, standing: Option<Standing>) -> Result<bool, Stop> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(true);
        }
        let waits = batch.clone();
        match self.journal.append(batch, standing).await? {
            Written::Durable => {
                tell(self.state.id, &waits);
                Ok(true)
            }
            Written::Outdated(events) => {
                self.batch = events;
                Ok(false)
            }
        }
    }

    /// The inputs of the next decision; `None` once the owner was erased.
    async fn facts(&mut self) -> Result<Option<Facts>, Stop> {
        let Some(keys) = self.shared.parts.reads.keychain.user(self.owner).await? else {
            return Ok(None);
        };
        let resolution = if self.state.is_to_resume() { Some(self.resolve().await?) } else { None };
        let usable = match resolution.as_ref().or(self.state.run.resolution.as_ref()) {
            Some(chosen) if self.is_owner_active => {
                credentials::current(&self.shared, self.owner, chosen).await?
            }
            Some(_) | None => None,
        };
        let (now, timer_ms) = (self.now(), self.timer_ms());
        Ok(Some(Facts { now, timer_ms, keys, usable, resolution }))
    }

    /// The credential of the run after it is resumed.
    async fn resolve(&mut self) -> Result<Resolution, Stop> {
        let parts = &self.shared.parts;
        let request = (self.state.id, self.state.control.version());
        let roles = roles_of_requester(&self.shared, self.owner, request).await?;
        let run = &self.state.run;
        let named = run.settings.as_ref().and_then(|settings| settings.named_key);
        let context = run.context.as_deref().and_then(|context| Context::parse(context).ok());
        let Some(context) = context else { return Err(Lost::Erased.into()) };
        let candidates = parts.resolver.resolve(self.owner, &roles, &context, named).await?;
        Ok(recorded(&candidates))
    }

    /// Waits for one input. `false` if a decision may follow from it.
    async fn wait(&mut self, signals: &Signals) -> Result<bool, Stop> {
        let due = self.state.due;
        let timer = Arc::clone(&self.shared.env().timer);
        let has_work = !(self.connections.is_empty() && self.standby.tickets.is_empty());
        self.report_idle(!has_work && !self.state.is_draining);
        tokio::select! {
            // The reference to the value must not outlive the wait.
            () = async { drop(self.chair.leave.wait_for(|leave| *leave).await) }, if self.is_idle => {
                self.leaves = true;
                return Ok(false);
            }
            () = signals.abort.cancelled() => return Ok(false),
            () = signals.drain.cancelled(), if !self.state.is_draining => {
                self.state.is_draining = true;
            }
            _ = self.standby.requests.told() => {
                let control = self.shared.aggregates().run_control(self.state.id).await?;
                let is_known = control.version() == self.state.control.version();
                self.state.control = control;
                return Ok(is_known);
            }
            _ = self.standby.account.told() => {
                let was_active = self.is_owner_active;
                self.is_owner_active = is_active(&self.shared, self.owner).await?;
                if self.is_owner_active || !was_active {
                    return Ok(true);
                }
                let now = self.now();
                let suspended = suspend(&mut self.state, now)?;
                drop(self.carry_out(suspended).await);
            }
            Some((step, ticket)) = self.standby.turns.next(), if !self.standby.turns.is_empty() => {
                if let Some(ticket) = ticket && self.state.grant(step) {
                    self.standby.tickets.insert(step, ticket);
                }
            }
            arrived = next_item(&mut self.connections) => return self.receive(arrived).await,
            () = timer.until(due.unwrap_or_default()), if due.is_some() => {}
        }
        Ok(false)
    }

    /// Applies an item of a call. `false` if events follow from it.
    async fn receive(&mut self, arrived: Arrived) -> Result<bool, Stop> {
        let Arrived { step, item, elapsed_ms } = arrived;
        // Only a failed call needs a number.
        let random = match &item {
            Some(CallItem::Failed(_)) | None => self.shared.random(),
            Some(
                CallItem::Started { .. }
                | CallItem::Restarted { .. }
                | CallItem::Text(_)
                | CallItem::Usage(_)
                | CallItem::Ended(_),
            ) => 0,
        };
        let (now, timer_ms) = (self.now(), self.timer_ms());
        let received = Received { step, item, now, timer_ms, elapsed_ms, random };
        let decision = receive(&mut self.state, received)?;
        // No call is announced by an item.
        drop(self.carry_out(decision).await);
        Ok(self.batch.is_empty())
    }
}

/// Whether a run's owner may sign in.
async fn is_active(shared: &Shared, owner: UserId) -> Result<bool, Stop> {
    let member = shared.aggregates().member(owner).await?;
    Ok(member.is_some_and(|member| member.facts.is_active))
}

fn rules(shared: &Shared) -> Rules {
    let budget = shared.parts.settings.retry_budget.as_millis();
    Rules {
        prices: Arc::clone(&shared.parts.prices),
        retry_budget_ms: u64::try_from(budget).unwrap_or(u64::MAX),
    }
}

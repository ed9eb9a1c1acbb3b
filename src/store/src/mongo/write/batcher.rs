//! Collects appends, commits them, sends their results. One transaction is in flight; the appends
//! queued meanwhile go into the next.

use super::task::Task;
use super::transaction::{self, Batch, Progress, Settled, Trouble};
use crate::mongo::calls::Calls;
use crate::mongo::error::DbError;
use crate::mongo::faults::Faults;
use crate::mongo::gate::{Gate, Passage};
use crate::mongo::process::Process;
use crate::mongo::watch::raise;
use claviger_domain::event::EnvelopeVersion;

use claviger_domain::id::EventId;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::{Append, AppendError, Signer, StoreError};
use claviger_vault::Entropy;
use mongodb::{ClientSession, Database};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Maximum number of appends in one transaction.
const BATCH_APPENDS: usize = 256;
/// Maximum number of bytes in one transaction, unless a single append has more.
const BATCH_BYTES: usize = 4 << 20;
/// How long a transaction is retried before its appends are refused as unavailable.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// Conflicts within this time mean that another process is writing as well.
const CONTENDED: Duration = Duration::from_secs(1);

/// Nothing but conflicts for this long means that the process holding the head may have stopped.
const STOPPED: Duration = Duration::from_millis(500);
/// How often to look for such a process while the conflicts continue.
const LOOK: Duration = Duration::from_millis(250);

/// What a batcher is made of.
pub(in crate::mongo) struct BatcherParts {
    /// Where everything is.
    pub(in crate::mongo) db: Database,
    /// How it is asked.
    pub(in crate::mongo) calls: Calls,
    /// What may be appended.
    pub(in crate::mongo) gate: Arc<Gate>,
    /// This process among the others.
    pub(in crate::mongo) process: Arc<Process>,
    /// Queued tasks.
    pub(in crate::mongo) tasks: mpsc::UnboundedReceiver<Task>,
    /// Receives the position of every commit.
    pub(in crate::mongo) position: watch::Sender<u64>,
    /// Spreads retries.
    pub(in crate::mongo) entropy: Arc<dyn Entropy>,
    /// Whether the database's clock contradicts an append whose time is far ahead.
    pub(in crate::mongo) asks_clock: bool,
    pub(in crate::mongo) faults: Arc<dyn Faults>,
    /// The store is closing: tasks that cannot be settled now are abandoned.
    pub(in crate::mongo) closing: CancellationToken,
    /// Signs the events.
    pub(in crate::mongo) signer: Signer,
}

pub(in crate::mongo) struct Batcher {
    parts: BatcherParts,
    /// `None` once a call in it was abandoned: the next attempt uses another session.
    session: Option<ClientSession>,
    /// Taken from the queue, to be handled in the next transaction.
    carried: Option<Task>,
    /// When another process last caused a conflict.
    conflict: Option<Instant>,
    /// Since when there have been nothing but conflicts.
    blocked: Option<Instant>,
    /// When a stopped process was last looked for.
    looked: Option<Instant>,
    /// The duration of a transaction, smoothed.
    commit_time: Duration,
    /// Position and time of the end of the log after the last commit of this process.
    known: Option<(u64, Timestamp)>,
}

/// A batch that ends the batcher: its appends get [`StoreError::Closed`], because their outcome is
/// unknown.
struct Lost;

impl Batcher {
    pub(in crate::mongo) fn new(parts: BatcherParts, session: ClientSession) -> Self {
        let commit_time = Duration::from_millis(5);
        Self {
            parts,
            session: Some(session),
            carried: None,
            conflict: None,
            blocked: None,
            looked: None,
            commit_time,
            known: None,
        }
    }

    /// Runs until no sender is left. Callers of dropped appends get [`StoreError::Closed`].
    pub(in crate::mongo) async fn run(mut self) {
        while let Some(first) = self.next().await {
            let batch = self.gather(first);
            if self.work(batch).await.is_err() {
                return;
            }
            self.let_others_in().await;
        }
    }

    async fn next(&mut self) -> Option<Task> {
        match self.carried.take() {
            Some(task) => Some(task),
            None => self.parts.tasks.recv().await,
        }
    }

    /// A task together with those queued meanwhile. No timer is needed: under load the queue fills
    /// during a commit.
    fn gather(&mut self, first: Task) -> Vec<Task> {
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        while batch.len() < BATCH_APPENDS {
            match self.parts.tasks.try_recv() {
                Ok(task) if bytes + task.bytes() <= BATCH_BYTES => {
                    bytes += task.bytes();
                    batch.push(task);
                }
                Ok(task) => {
                    self.carried = Some(task);
                    break;
                }
                Err(_) => break,
            }
        }
        batch
    }

    /// Settles a batch. After an unexpected error it is halved until only the culprit fails; the
    /// order is kept.
    async fn work(&mut self, batch: Vec<Task>) -> Result<(), Lost> {
        let (version, batch) = self.admit(batch).await;
        let mut groups = vec![batch];
        while let Some(mut group) = groups.pop() {
            if group.is_empty() {
                continue;
            }
            let appends: Arc<[Arc<Append>]> =
                group.iter().map(|task| Arc::clone(&task.append)).collect();
            match self.settle(&appends, version).await? {
                Ok(settled) => {
                    raise(&self.parts.position, settled.position);
                    self.known = Some((settled.position, settled.at));
                    for (task, answer) in group.into_iter().zip(settled.answers) {
                        task.answer(answer);
                    }
                }
                Err(error) if group.len() == 1 || error.is_transient() => {
                    let error = StoreError::from(error);
                    for task in group {
                        task.answer(Err(AppendError::Store(error.clone())));
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %StoreError::from(error), appends = group.len(), "a batch failed and is split");
                    let later = group.split_off(group.len() / 2);
                    groups.push(later);
                    groups.push(group);
                }
            }
        }
        Ok(())
    }

    /// The version of the batch's envelopes, and the appends that every live process can read; the
    /// others are refused.
    async fn admit(&mut self, batch: Vec<Task>) -> (EnvelopeVersion, Vec<Task>) {
        let appends: Vec<_> = batch.iter().map(|task| Arc::clone(&task.append)).collect();
        let passage = match self.passage(&appends).await {
            Ok(passage) => passage,
            Err(error) => {
                let error = AppendError::Store(StoreError::from(error));
                for task in batch {
                    task.answer(Err(error.clone()));
                }
                return (EnvelopeVersion::V1, Vec::new());
            }
        };
        let mut admitted = Vec::with_capacity(batch.len());
        for task in batch {
            match passage.admits(&task.append) {
                Ok(()) => admitted.push(task),
                Err(refusal) => task.answer(Err(refusal)),
            }
        }
        (passage.version, admitted)
    }

    /// Asks the gate, as patiently as a batch is tried.
    async fn passage(&self, appends: &[Arc<Append>]) -> Result<Passage, DbError> {
        let (began, mut tries) = (Instant::now(), 0);
        loop {
            match self.parts.gate.pass(appends).await {
                Err(DbError::Mongo(_) | DbError::Silent)
                    if began.elapsed() < PATIENCE && !self.parts.closing.is_cancelled() =>
                {
                    self.pause(tries).await;
                    tries += 1;
                }
                passed => return passed,
            }
        }
    }

    /// Tries a batch until it is settled or failed for good.
    async fn settle(
        &mut self,
        appends: &Arc<[Arc<Append>]>,
        version: EnvelopeVersion,
    ) -> Result<Result<Settled, DbError>, Lost> {
        let began = Instant::now();
        for tries in 0.. {
            let tried = Instant::now();
            match self.attempt(appends, version).await {
                Ok(settled) => {
                    self.commit_time = (self.commit_time * 7 + tried.elapsed()) / 8;
                    self.blocked = None;
                    return Ok(Ok(settled));
                }
                Err(Trouble::Killed) => return Err(Lost),
                Err(Trouble::Unknown(settled)) => {
                    if self.is_in(&settled).await? {
                        return Ok(Ok(settled));
                    }
                    if began.elapsed() >= PATIENCE {
                        let error = StoreError::Unavailable(
                            "MongoDB commits nothing: see its log".to_owned(),
                        );
                        return Ok(Err(error.into()));
                    }
                }
                Err(Trouble::Failed(error))
                    if error.is_transient() && began.elapsed() < PATIENCE =>
                {
                    self.noticed(&error).await;
                }
                Err(Trouble::Failed(error)) => return Ok(Err(error)),
            }
            self.pause(tries).await;
        }
        Err(Lost)
    }

    /// This process's session; another one if the last was abandoned.
    async fn session(&mut self) -> Result<ClientSession, DbError> {
        if let Some(session) = self.session.take() {
            return Ok(session);
        }
        let client = self.parts.db.client().clone();
        let session = self.parts.calls.ask(async move { client.start_session().await }).await?;
        self.parts.process.change_session(session.id().clone()).await?;
        Ok(session)
    }

    /// Tries a batch once, and waits for the outcome no longer than for any answer.
    async fn attempt(
        &mut self,
        appends: &Arc<[Arc<Append>]>,
        version: EnvelopeVersion,
    ) -> Result<Settled, Trouble> {
        let mut session = self.session().await?;
        let progress: Arc<Progress> = Arc::default();
        let (shared, db, appends) =
            (Arc::clone(&progress), self.parts.db.clone(), Arc::clone(appends));
        let (faults, asks_clock) = (Arc::clone(&self.parts.faults), self.parts.asks_clock);
        let (signer, known) = (self.parts.signer.clone(), self.known);
        let attempt = async move {
            let tried = transaction::attempt(
                &db,
                &mut session,
                Batch { appends: &appends, version, asks_clock, signer: &signer, known },
                faults.as_ref(),
                &shared,
            )
            .await;
            (session, tried)
        };
        if let Some((session, tried)) = self.parts.calls.within(attempt).await {
            self.session = Some(session);
            return tried;
        }
        tracing::warn!("a transaction got no reply: it is abandoned, and its session ended");
        Err(progress.give_up().map_or(Trouble::Failed(DbError::Silent), Trouble::Unknown))
    }

    /// Determines the outcome of a commit, however long that takes: a result that may be wrong is
    /// worse than none. The rest of the queue waits, since it could not be ordered behind the
    /// commit otherwise.
    async fn is_in(&mut self, settled: &Settled) -> Result<bool, Lost> {
        let accepted = settled.answers.iter().filter_map(|answer| answer.as_ref().ok());
        let events: Arc<[EventId]> =
            accepted.flat_map(|appended| &appended.placed).map(|placed| placed.id).collect();
        if events.is_empty() {
            return Ok(false);
        }
        for tries in 0.. {
            match self.look_up(&events).await {
                Ok(found) => {
                    self.blocked = None;
                    return Ok(found);
                }
                Err(error) => {
                    self.noticed(&error).await;
                    tracing::warn!(error = %StoreError::from(error), "the outcome of a commit cannot be looked up yet");
                }
            }
            if self.parts.closing.is_cancelled() {
                return Err(Lost);
            }
            self.pause(tries).await;
        }
        Err(Lost)
    }

    async fn look_up(&mut self, events: &Arc<[EventId]>) -> Result<bool, DbError> {
        let mut session = self.session().await?;
        let (db, events) = (self.parts.db.clone(), Arc::clone(events));
        let question = async move {
            let found = transaction::look_up(&db, &mut session, &events).await;
            (session, found)
        };
        let (session, found) = self.parts.calls.within(question).await.ok_or(DbError::Silent)?;
        self.session = Some(session);
        found
    }

    /// Records a conflict. After nothing but conflicts for [`STOPPED`], the process that holds the
    /// head may have stopped, so the sessions of lapsed processes are ended.
    async fn noticed(&mut self, error: &DbError) {
        if !error.is_conflict() {
            self.blocked = None;
            return;
        }
        let now = Instant::now();
        self.conflict = Some(now);
        let since = *self.blocked.get_or_insert(now);
        if now - since < STOPPED || self.looked.is_some_and(|looked| now - looked < LOOK) {
            return;
        }
        self.looked = Some(now);
        for ended in
            [self.parts.process.end_given_up().await, self.parts.process.end_lapsed().await]
        {
            if let Err(error) = ended {
                tracing::warn!(error = %StoreError::from(error), "the process that holds the head of the log cannot be looked for");
            }
        }
    }

    /// Waits a random part of a time that doubles with every attempt, starting at about a commit's
    /// duration.
    async fn pause(&self, tries: u32) {
        let longest = (self.commit_time * 2_u32.saturating_pow(tries.min(8)))
            .clamp(Duration::from_millis(2), LONGEST_PAUSE);
        let mut random = [0; 4];
        self.parts.entropy.fill(&mut random);
        sleep(longest.mul_f64(f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX))).await;
    }

    /// While another process is writing as well, leaves it time to take the head: otherwise the
    /// process that has just committed is always first.
    async fn let_others_in(&self) {
        if self.conflict.is_some_and(|at| at.elapsed() < CONTENDED) {
            sleep(self.commit_time / 2).await;
        }
    }
}

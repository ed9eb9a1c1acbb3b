//! Gathers, commits, answers. One transaction is in flight; what queues meanwhile goes into the next.

use super::task::Task;
use super::transaction::{self, Progress, Settled, Trouble};
use crate::store::mongo::calls::Calls;
use crate::store::mongo::error::DbError;
use crate::store::mongo::faults::Faults;
use crate::store::mongo::gate::{Gate, Passage};
use crate::store::mongo::process::Process;
use crate::store::mongo::watch::raise;
use claviger_domain::event::EnvelopeVersion;
use claviger_domain::id::EventId;
use claviger_projections::ports::{Append, AppendError, StoreError};
use claviger_vault::Entropy;
use mongodb::{ClientSession, Database};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Most appends in one transaction.
const BATCH_APPENDS: usize = 256;
/// Most bytes in one transaction, unless one append alone has more.
const BATCH_BYTES: usize = 4 << 20;
/// How long a transaction is tried again before its appends are refused as unavailable.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// Conflicts within this time mean that another process writes as well.
const CONTENDED: Duration = Duration::from_secs(1);

/// Conflicts for this long, and nothing else, mean that somebody holds the head who may have stopped.
const STOPPED: Duration = Duration::from_millis(500);
/// How often it is looked for such a process while the conflicts go on.
const LOOK: Duration = Duration::from_millis(250);

/// What a batcher is made of.
pub(in crate::store::mongo) struct BatcherParts {
    /// Where everything is.
    pub(in crate::store::mongo) db: Database,
    /// How it is asked.
    pub(in crate::store::mongo) calls: Calls,
    /// What may be appended.
    pub(in crate::store::mongo) gate: Arc<Gate>,
    /// This process among the others.
    pub(in crate::store::mongo) process: Arc<Process>,
    /// What there is to do.
    pub(in crate::store::mongo) tasks: mpsc::UnboundedReceiver<Task>,
    /// Told of every commit.
    pub(in crate::store::mongo) position: watch::Sender<u64>,
    /// Spreads retries.
    pub(in crate::store::mongo) entropy: Arc<dyn Entropy>,
    /// Failpoints.
    pub(in crate::store::mongo) faults: Arc<dyn Faults>,
    /// The store is closing: what can't be settled now is given up.
    pub(in crate::store::mongo) closing: CancellationToken,
}

/// The batcher.
pub(in crate::store::mongo) struct Batcher {
    parts: BatcherParts,
    /// `None` once a call in it was given up: the next is another.
    session: Option<ClientSession>,
    /// Taken from the queue, but for the next transaction.
    carried: Option<Task>,
    /// When another process was last in the way.
    conflict: Option<Instant>,
    /// Since when there is nothing but conflicts.
    blocked: Option<Instant>,
    /// When it was last looked for a process that stopped.
    looked: Option<Instant>,
    /// How long a transaction takes, smoothed.
    commit_time: Duration,
}

/// A batch that ends the batcher: its appends are answered [`StoreError::Closed`], because nobody knows what became of them.
struct Lost;

impl Batcher {
    /// A batcher that has done nothing yet.
    pub(in crate::store::mongo) fn new(parts: BatcherParts, session: ClientSession) -> Self {
        let commit_time = Duration::from_millis(5);
        Self {
            parts,
            session: Some(session),
            carried: None,
            conflict: None,
            blocked: None,
            looked: None,
            commit_time,
        }
    }

    /// Works until nobody can ask any more. What is dropped its callers see as [`StoreError::Closed`].
    pub(in crate::store::mongo) async fn run(mut self) {
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

    /// A task together with what queued meanwhile. No timer: under load the queue fills while a commit is under way.
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

    /// Settles a batch. After an unexpected error it is halved until only the culprit fails; the order stays.
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

    /// The version of the batch's envelopes, and the appends that every live process can read; the others are answered.
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
                    self.noticed(&error).await
                }
                Err(Trouble::Failed(error)) => return Ok(Err(error)),
            }
            self.pause(tries).await;
        }
        Err(Lost)
    }

    /// The session of this process; another one if the last was given up.
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
        let faults = Arc::clone(&self.parts.faults);
        let attempt = async move {
            let tried = transaction::attempt(
                &db,
                &mut session,
                (&appends, version),
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
        tracing::warn!("a transaction isn't answered: it is given up, and its session ended");
        Err(progress.give_up().map_or(Trouble::Failed(DbError::Silent), Trouble::Unknown))
    }

    /// Finds out about a commit of unknown outcome, however long that takes: an answer that may be wrong is none. The rest of the queue
    /// waits, since it could not be ordered behind it otherwise.
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
                    tracing::warn!(error = %StoreError::from(error), "the outcome of a commit can't be looked up yet");
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

    /// Remembers a conflict. When there was nothing else for long, whoever holds the head may have stopped: its session is ended.
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
                tracing::warn!(error = %StoreError::from(error), "what holds the head of the log can't be looked for");
            }
        }
    }

    /// Waits a random part of a time that doubles with every try, at least about a commit's.
    async fn pause(&self, tries: u32) {
        let longest = (self.commit_time * 2_u32.saturating_pow(tries.min(8)))
            .clamp(Duration::from_millis(2), LONGEST_PAUSE);
        let mut random = [0; 4];
        self.parts.entropy.fill(&mut random);
        sleep(longest.mul_f64(f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX))).await;
    }

    /// While another process writes as well, leaves it time to take the head: whoever has just committed is otherwise always first.
    async fn let_others_in(&self) {
        if self.conflict.is_some_and(|at| at.elapsed() < CONTENDED) {
            sleep(self.commit_time / 2).await;
        }
    }
}

//! Which runs this process works on: those that hints name, those it owned before, and those of
//! processes that are gone.

use super::decide::PreviousOwner;
use super::parts::{EngineParts, Shared};
use super::queue::Queue;
use super::worker::{Outcome, Signals, work};
use crate::background::lease::LeaseHolder;
use crate::bus::WakeEngine;
use crate::system::failure::store_failure;
use crate::views::read_open_run;

use claviger_domain::failure::Failure;
use claviger_domain::id::{BootId, RunId, UserId};
use claviger_projections::flusher::{Flusher, FlusherParts};
use claviger_projections::ports::{Hold, Holder, LeaseName, OPEN_RUNS, ViewRow};
use claviger_projections::runs::OpenRun;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Rows of open runs that are read at a time.
const BATCH: usize = 500;

/// Shortest and longest time between two scans of the open runs.
const SCAN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Every how many scans paused runs are checked too. Only a crash between a control request and its
/// hint leaves one for them.
const PAUSED_EVERY: u64 = 10;

/// Sends hints to the engine: runs that may need work.
#[derive(Clone, Debug)]
pub struct EngineHandle(mpsc::UnboundedSender<(UserId, RunId)>);

impl WakeEngine for EngineHandle {
    fn wake(&self, owner: UserId, run: RunId) {
        // If the engine has ended, the scans of the others find the run.
        let _ = self.0.send((owner, run));
    }
}

impl EngineHandle {
    /// A handle, and the receiver of its hints.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<(UserId, RunId)>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
}

/// The engine of a process.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Engine {
    shared: Arc<Shared>,
    flusher: Flusher,
    hints: mpsc::UnboundedReceiver<(UserId, RunId)>,
}

type Work = BoxFuture<'static, (UserId, RunId, Outcome)>;

/// The runs that this process works on.
struct RunSet {
    shared: Arc<Shared>,
    signals: Signals,
    work: FuturesUnordered<Work>,
    at_work: HashSet<RunId>,
    /// Hinted at while a worker had them: started again afterwards.
    again: HashSet<RunId>,
    /// Runs beyond the most in progress at a time.
    queue: VecDeque<(UserId, RunId, PreviousOwner)>,
    /// Runs that this process can't continue.
    broken: HashSet<RunId>,
    scans: u64,
}

impl Engine {
    /// An engine; nothing happens before [`Engine::run`].
    pub fn new(parts: EngineParts, hints: mpsc::UnboundedReceiver<(UserId, RunId)>) -> Self {
        let clock = Arc::clone(&parts.reads.env.clock);
        let (flusher, flush) = Flusher::new(FlusherParts {
            store: Arc::clone(&parts.reads.store) as _,
            listener: Arc::clone(&parts.runs) as _,
            now: Arc::new(move || clock.now()),
            pause: Arc::new(|tries| sleep(Duration::from_millis(50 << tries.min(5))).boxed()),
        });
        let clock = Arc::clone(&parts.reads.env.clock);
        let queue = Queue::new(
            clock,
            parts.tracker.clone(),
            parts.settings.calls_per_key,
            parts.settings.calls_at_once,
        );
        Self { shared: Arc::new(Shared { parts, queue, flush }), flusher, hints }
    }

    /// Works until shutdown, and then until the calls under way have ended, at most for the drain
    /// time.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { shared, flusher, hints } = self;
        let flushing = shared.parts.tracker.spawn(flusher.run());
        let holder = shared.parts.holder;
        let lease_holder = LeaseHolder {
            store: Arc::clone(shared.store()),
            name: LeaseName::Engine(holder.0),
            holder,
            ttl: shared.parts.settings.lease,
        };
        // The lease is kept while calls end: a process that got it would retry them.
        let done = CancellationToken::new();
        let (hints, serves) = (tokio::sync::Mutex::new(hints), AtomicBool::new(false));
        let working = lease_holder.run(&done, |_, lost| {
            let (shared, shutdown, done) = (Arc::clone(&shared), shutdown.clone(), done.clone());
            let (hints, serves) = (&hints, &serves);
            async move {
                serves.store(true, Ordering::SeqCst);
                let mut hints = hints.lock().await;
                RunSet::new(shared, lost.clone()).serve(&mut hints, &shutdown, &lost).await;
                serves.store(false, Ordering::SeqCst);
                if shutdown.is_cancelled() {
                    done.cancel();
                }
            }
        });
        let stopping = async {
            shutdown.cancelled().await;
            // Without the lease there is nothing to wait for.
            if !serves.load(Ordering::SeqCst) {
                done.cancel();
            }
        };
        tokio::join!(working, stopping);
        drop(shared);
        drop(flushing.await);
    }
}

impl RunSet {
    fn new(shared: Arc<Shared>, lost: CancellationToken) -> Self {
        let signals =
            Signals { drain: CancellationToken::new(), abort: CancellationToken::new(), lost };
        Self {
            shared,
            signals,
            work: FuturesUnordered::new(),
            at_work: HashSet::new(),
            again: HashSet::new(),
            queue: VecDeque::new(),
            broken: HashSet::new(),
            scans: 0,
        }
    }

    async fn serve(
        &mut self,
        hints: &mut mpsc::UnboundedReceiver<(UserId, RunId)>,
        shutdown: &CancellationToken,
        lost: &CancellationToken,
    ) {
        let mut next_scan = Instant::now();
        while !shutdown.is_cancelled() && !lost.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = lost.cancelled() => {}
                Some((owner, run)) = hints.recv() => self.start(owner, run, PreviousOwner(None)),
                Some((owner, run, outcome)) = self.work.next(), if !self.work.is_empty() => {
                    self.ended(owner, run, outcome);
                }
                () = sleep_until(next_scan) => {
                    if let Err(failure) = self.scan().await {
                        tracing::warn!(code = failure.code.as_str(), "failed to scan the open runs");
                    }
                    next_scan = Instant::now() + self.pause();
                }
            }
        }
        if shutdown.is_cancelled() {
            self.drain(lost).await;
        }
        // Without the lease, workers end at once.
        while self.work.next().await.is_some() {}
    }

    /// Lets calls under way end, at most for the drain time.
    async fn drain(&mut self, lost: &CancellationToken) {
        self.queue.clear();
        self.signals.drain.cancel();
        let ended = async { while self.work.next().await.is_some() {} };
        tokio::select! {
            () = ended => return,
            () = lost.cancelled() => return,
            () = sleep(self.shared.parts.settings.drain) => {}
        }
        tracing::warn!(
            "cancelled calls that outlasted the drain time: the next owners of their runs retry them"
        );
        self.signals.abort.cancel();
    }

    /// The time to the next scan: between a quarter and half of a lease, so that processes don't
    /// scan in step.
    fn pause(&self) -> Duration {
        let quarter = self.shared.parts.settings.lease / 4;
        let jitter = quarter.mul_f64(
            f64::from(u32::try_from(self.shared.random() & 0xffff).unwrap_or(0)) / 65_536.0,
        );
        (quarter + jitter).clamp(SCAN.0, SCAN.1)
    }

    fn start(&mut self, owner: UserId, run: RunId, previous: PreviousOwner) {
        if self.broken.contains(&run) {
            return;
        }
        if self.at_work.contains(&run) {
            self.again.insert(run);
        } else if self.at_work.len() >= self.shared.parts.settings.runs_at_once {
            self.queue.push_back((owner, run, previous));
        } else {
            self.at_work.insert(run);
            let working =
                work(Arc::clone(&self.shared), (owner, run), previous, self.signals.clone());
            let task = self.shared.parts.tracker.spawn(working);
            self.work
                .push(async move { (owner, run, task.await.unwrap_or(Outcome::Broken)) }.boxed());
        }
    }

    fn ended(&mut self, owner: UserId, run: RunId, outcome: Outcome) {
        self.at_work.remove(&run);
        if outcome == Outcome::Broken {
            self.broken.insert(run);
        }
        if self.again.remove(&run) && outcome != Outcome::Broken {
            self.start(owner, run, PreviousOwner(None));
        }
        while self.at_work.len() < self.shared.parts.settings.runs_at_once {
            let Some((owner, run, previous)) = self.queue.pop_front() else { break };
            self.start(owner, run, previous);
        }
    }

    /// Scans the open runs, and starts work on those that no live process works on.
    async fn scan(&mut self) -> Result<(), Failure> {
        let scans_paused = self.scans.is_multiple_of(PAUSED_EVERY);
        self.scans += 1;
        let waiting: HashSet<RunId> = self.queue.iter().map(|(_, run, _)| *run).collect();
        let mut taken_over: HashMap<BootId, bool> = HashMap::new();
        let mut after = None;
        loop {
            let rows = self
                .shared
                .store()
                .rows_of_all(OPEN_RUNS, after, BATCH)
                .await
                .map_err(|error| store_failure(&error))?;
            after = rows.last().map(|row| (row.owner, row.id));
            for row in &rows {
                let run = RunId(row.id);
                if self.at_work.contains(&run) || self.broken.contains(&run) {
                    continue;
                }
                // Also for runs that wait here: this keeps the lease of their previous owner from
                // returning to it meanwhile.
                match self.previous_owner(row, scans_paused, &mut taken_over).await? {
                    Some(previous) if !waiting.contains(&run) => {
                        self.start(row.owner, run, previous);
                    }
                    Some(_) => {}
                    None => self.queue.retain(|(_, queued, PreviousOwner(previous))| {
                        *queued != run || previous.is_none()
                    }),
                }
            }
            if rows.len() < BATCH {
                return Ok(());
            }
        }
    }

    /// The previous owner of a run that this process may work on; `None` for a run that is to be
    /// left alone.
    async fn previous_owner(
        &mut self,
        row: &ViewRow,
        scans_paused: bool,
        taken_over: &mut HashMap<BootId, bool>,
    ) -> Result<Option<PreviousOwner>, Failure> {
        let OpenRun { owner, is_paused, control } = read_open_run(row)?;
        if is_paused {
            let is_requested = scans_paused
                && self.shared.aggregates().run_control(RunId(row.id)).await?.version() > control;
            return Ok(is_requested.then_some(PreviousOwner(None)));
        }
        let Some(owner) = owner.filter(|owner| owner.0 != self.shared.parts.holder.0) else {
            return Ok(Some(PreviousOwner(None)));
        };
        if let Some(is_ours) = taken_over.get(&owner) {
            return Ok(is_ours.then_some(PreviousOwner(Some(owner))));
        }
        let is_ours = self.take_over(owner).await?;
        taken_over.insert(owner, is_ours);
        Ok(is_ours.then_some(PreviousOwner(Some(owner))))
    }

    /// Tries to get another engine's lease. Getting it means that engine is gone, so its runs may
    /// be claimed. The lease is not released: an engine that resumes after all detects by it that
    /// it has lost its runs.
    async fn take_over(&mut self, owner: BootId) -> Result<bool, Failure> {
        let holder: Holder = self.shared.parts.holder;
        let ttl_ms =
            u64::try_from(self.shared.parts.settings.lease.as_millis()).unwrap_or(u64::MAX);
        let held = self.shared.store().hold(LeaseName::Engine(owner.0), holder, ttl_ms).await;
        match held.map_err(|error| store_failure(&error))? {
            Hold::Ours { .. } => Ok(true),
            Hold::Theirs { .. } => Ok(false),
        }
    }
}

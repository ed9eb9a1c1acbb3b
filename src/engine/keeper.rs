//! Which runs this process works on: those it is told of, those it had before, and those of processes that are gone.

use super::parts::{EngineParts, Shared};
use super::queue::Queue;
use super::worker::{Estate, Outcome, Signals, work};
use crate::background::lease::Tenure;
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

/// Rows of runs that haven't ended, read at a time.
const BATCH: usize = 500;

/// The shortest and the longest time between two looks at them.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// How many looks pass by a run that stands still: only a crash between a request and its hint leaves one for these.
const RARELY: u64 = 10;

/// The way to the engine.
#[derive(Clone, Debug)]
pub struct EngineHandle(mpsc::UnboundedSender<(UserId, RunId)>);

impl WakeEngine for EngineHandle {
    fn wake(&self, owner: UserId, run: RunId) {
        // An engine that has ended is found by the others' looks.
        let _ = self.0.send((owner, run));
    }
}

impl EngineHandle {
    /// A way, and what comes along it.
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
    told: mpsc::UnboundedReceiver<(UserId, RunId)>,
}

type Work = BoxFuture<'static, (UserId, RunId, Outcome)>;

/// The runs in this process's hands.
struct Hands {
    shared: Arc<Shared>,
    signals: Signals,
    work: FuturesUnordered<Work>,
    at_work: HashSet<RunId>,
    /// Told of while it was at work: looked at once more afterwards.
    again: HashSet<RunId>,
    /// More than may be worked on at once.
    queue: VecDeque<(UserId, RunId, Estate)>,
    /// Runs that can't go on here.
    broken: HashSet<RunId>,
    looks: u64,
}

impl Engine {
    /// An engine; nothing happens before it runs.
    pub fn new(parts: EngineParts, told: mpsc::UnboundedReceiver<(UserId, RunId)>) -> Self {
        let clock = Arc::clone(&parts.reads.effects.clock);
        let (flusher, flush) = Flusher::new(FlusherParts {
            store: Arc::clone(&parts.reads.store) as _,
            listener: Arc::clone(&parts.runs) as _,
            now: Arc::new(move || clock.now()),
            pause: Arc::new(|tries| sleep(Duration::from_millis(50 << tries.min(5))).boxed()),
        });
        let clock = Arc::clone(&parts.reads.effects.clock);
        let queue = Queue::new(
            clock,
            parts.tracker.clone(),
            parts.settings.calls_per_key,
            parts.settings.calls_at_once,
        );
        Self { shared: Arc::new(Shared { parts, queue, flush }), flusher, told }
    }

    /// Works until shutdown, and then as long as calls under way may take to end.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { shared, flusher, told } = self;
        let flushing = shared.parts.tracker.spawn(flusher.run());
        let holder = shared.parts.holder;
        let tenure = Tenure {
            store: Arc::clone(shared.store()),
            name: LeaseName::Engine(holder.0),
            holder,
            ttl: shared.parts.settings.lease,
        };
        // The lease is kept while calls end: whoever gets it makes them anew.
        let done = CancellationToken::new();
        let (told, serves) = (tokio::sync::Mutex::new(told), AtomicBool::new(false));
        let working = tenure.run(&done, |_, lost| {
            let (shared, shutdown, done) = (Arc::clone(&shared), shutdown.clone(), done.clone());
            let (told, serves) = (&told, &serves);
            async move {
                serves.store(true, Ordering::SeqCst);
                let mut told = told.lock().await;
                Hands::new(shared, lost.clone()).serve(&mut told, &shutdown, &lost).await;
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

impl Hands {
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
            looks: 0,
        }
    }

    async fn serve(
        &mut self,
        told: &mut mpsc::UnboundedReceiver<(UserId, RunId)>,
        shutdown: &CancellationToken,
        lost: &CancellationToken,
    ) {
        let mut next_look = Instant::now();
        while !shutdown.is_cancelled() && !lost.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = lost.cancelled() => {}
                Some((owner, run)) = told.recv() => self.adopt(owner, run, Estate(None)),
                Some((owner, run, outcome)) = self.work.next(), if !self.work.is_empty() => self.ended(owner, run, outcome),
                () = sleep_until(next_look) => {
                    if let Err(failure) = self.look().await {
                        tracing::warn!(code = failure.code.as_str(), "runs that haven't ended can't be looked for now");
                    }
                    next_look = Instant::now() + self.pause();
                }
            }
        }
        if shutdown.is_cancelled() {
            self.drain(lost).await;
        }
        // Whoever lost the lease ends at once.
        while self.work.next().await.is_some() {}
    }

    /// Lets calls under way end, as long as that may take.
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
            "calls that outlasted the drain time are cut: they are made anew by whoever works on their runs next"
        );
        self.signals.abort.cancel();
    }

    /// Between a quarter and half of a lease, so that processes don't look in step.
    fn pause(&self) -> Duration {
        let quarter = self.shared.parts.settings.lease / 4;
        let jitter = quarter.mul_f64(
            f64::from(u32::try_from(self.shared.random() & 0xffff).unwrap_or(0)) / 65_536.0,
        );
        (quarter + jitter).clamp(LOOK.0, LOOK.1)
    }

    fn adopt(&mut self, owner: UserId, run: RunId, estate: Estate) {
        if self.broken.contains(&run) {
            return;
        }
        if self.at_work.contains(&run) {
            self.again.insert(run);
        } else if self.at_work.len() >= self.shared.parts.settings.runs_at_once {
            self.queue.push_back((owner, run, estate));
        } else {
            self.at_work.insert(run);
            let working =
                work(Arc::clone(&self.shared), (owner, run), estate, self.signals.clone());
            // A task of its own: runs work side by side.
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
            self.adopt(owner, run, Estate(None));
        }
        while self.at_work.len() < self.shared.parts.settings.runs_at_once {
            let Some((owner, run, estate)) = self.queue.pop_front() else { break };
            self.adopt(owner, run, estate);
        }
    }

    /// Looks for runs that nobody works on.
    async fn look(&mut self) -> Result<(), Failure> {
        let looks_at_resting = self.looks.is_multiple_of(RARELY);
        self.looks += 1;
        let waiting: HashSet<RunId> = self.queue.iter().map(|(_, run, _)| *run).collect();
        let mut estates: HashMap<BootId, bool> = HashMap::new();
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
                // Also of those that wait for room here: as long as they do, their owner before must not have them back.
                match self.estate(row, looks_at_resting, &mut estates).await? {
                    Some(estate) if !waiting.contains(&run) => self.adopt(row.owner, run, estate),
                    Some(_) => {}
                    None => self
                        .queue
                        .retain(|(_, queued, Estate(estate))| *queued != run || estate.is_none()),
                }
            }
            if rows.len() < BATCH {
                return Ok(());
            }
        }
    }

    /// Whether a run may need somebody, and whose it was.
    async fn estate(
        &mut self,
        row: &ViewRow,
        looks_at_resting: bool,
        estates: &mut HashMap<BootId, bool>,
    ) -> Result<Option<Estate>, Failure> {
        let OpenRun { owner, is_paused, control } = read_open_run(row)?;
        if is_paused {
            let is_asked = looks_at_resting
                && self.shared.parts.bus.run_control(RunId(row.id)).await?.version() > control;
            return Ok(is_asked.then_some(Estate(None)));
        }
        let Some(owner) = owner.filter(|owner| owner.0 != self.shared.parts.holder.0) else {
            return Ok(Some(Estate(None)));
        };
        if let Some(is_ours) = estates.get(&owner) {
            return Ok(is_ours.then_some(Estate(Some(owner))));
        }
        let is_ours = self.inherit(owner).await?;
        estates.insert(owner, is_ours);
        Ok(is_ours.then_some(Estate(Some(owner))))
    }

    /// Whoever gets the lease of another's engine may claim its runs: it is gone. The lease is not given back: should its owner wake up
    /// after all, it learns by it that it has lost its runs.
    async fn inherit(&mut self, owner: BootId) -> Result<bool, Failure> {
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

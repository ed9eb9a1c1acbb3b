//! Which runs this process works on: those that hints name, those it owned before, and those of
//! processes that are gone.
//!
//! A run has a place while it is worked on ([`Places`] hands them out by owner). One that only
//! waits keeps its place as long as no other run wants one, and then stands by: a ticket, a time or
//! a request brings it back.

use super::decide::PreviousOwner;
use super::parts::Shared;
use super::places::Places;
use super::scan::{Finding, Findings, scan, scan_paused};
use super::standby::Standby;
use super::task::{Chair, Idle, Outcome, Signals, Task};
use super::worker::work;
use claviger_domain::id::{RunId, UserId};
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Shortest and longest time between two scans of the open runs.
const SCAN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Longest time for which a run that can't be read is set aside. The first time it is a second.
const ASIDE: Duration = Duration::from_mins(5);

/// Shortest and longest part of the drain time that is left for recording calls that were cut.
const RECORDING: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));

type Work = BoxFuture<'static, (UserId, RunId, Outcome)>;
type Standing = BoxFuture<'static, (UserId, RunId, Box<Standby>)>;

/// The hints that an engine receives.
pub(super) type Hints = mpsc::UnboundedReceiver<(UserId, RunId)>;

/// A run that has a place.
struct Seat {
    /// Which worker has it: what one before said about the run is void.
    number: u64,
    owner: UserId,
    /// It only waits.
    is_idle: bool,
    /// Whether it is to leave its place if it only waits.
    leave: watch::Sender<bool>,
}

/// A run that can't be read for now.
struct Aside {
    tries: u32,
    until: Instant,
}

/// What waits for a place.
struct Waiting {
    previous: PreviousOwner,
    standby: Option<Box<Standby>>,
}

/// The runs that this process works on.
pub(super) struct RunSet {
    shared: Arc<Shared>,
    signals: Signals,
    work: FuturesUnordered<Work>,
    seats: HashMap<RunId, Seat>,
    /// Number of seats that were taken.
    seated: u64,
    idle: (mpsc::UnboundedSender<Idle>, mpsc::UnboundedReceiver<Idle>),
    /// Hinted at while a worker had them: started again afterwards.
    again: HashSet<RunId>,
    places: Places<Waiting>,
    standing: FuturesUnordered<Standing>,
    /// The runs that stand by. Sending brings one back, once.
    hints: HashMap<RunId, Option<oneshot::Sender<()>>>,
    /// Runs that this process can't continue.
    broken: HashSet<RunId>,
    aside: HashMap<RunId, Aside>,
    scanning: Option<Findings>,
    scanning_paused: Option<Findings>,
}

/// The next finding; pending for ever without a scan.
async fn next_of(scan: &mut Option<Findings>) -> Option<Finding> {
    match scan {
        Some(findings) => findings.recv().await,
        None => std::future::pending().await,
    }
}

impl RunSet {
    pub(super) fn new(shared: Arc<Shared>, lost: &CancellationToken) -> Self {
        let signals = Signals {
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
            lost: lost.child_token(),
        };
        let places = Places::new(shared.parts.settings.runs_at_once);
        Self {
            shared,
            signals,
            work: FuturesUnordered::new(),
            seats: HashMap::new(),
            seated: 0,
            idle: mpsc::unbounded_channel(),
            again: HashSet::new(),
            places,
            standing: FuturesUnordered::new(),
            hints: HashMap::new(),
            broken: HashSet::new(),
            aside: HashMap::new(),
            scanning: None,
            scanning_paused: None,
        }
    }

    pub(super) async fn serve(
        &mut self,
        hints: &mut Hints,
        shutdown: &CancellationToken,
        lost: &CancellationToken,
    ) {
        // Before the paused runs are read, so that a request is found by the one or the other.
        self.shared.parts.hub.remember_controlled();
        self.scanning_paused = Some(scan_paused(&self.shared));
        let mut next_scan = Instant::now();
        while !shutdown.is_cancelled() && !lost.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = lost.cancelled() => {}
                Some((owner, run)) = hints.recv() => self.start(owner, run, PreviousOwner(None)),
                Some(idle) = self.idle.1.recv() => self.is_idle(idle),
                Some((owner, run, outcome)) = self.work.next(), if !self.work.is_empty() => {
                    self.ended(owner, run, outcome);
                }
                Some((owner, run, standby)) = self.standing.next(), if !self.standing.is_empty() => {
                    self.comes_back(owner, run, standby);
                }
                found = next_of(&mut self.scanning) => {
                    if let Some(finding) = found {
                        self.found(finding);
                    } else {
                        self.scanning = None;
                        next_scan = Instant::now() + self.pause();
                    }
                }
                found = next_of(&mut self.scanning_paused) => match found {
                    Some(finding) => self.found(finding),
                    None => self.scanning_paused = None,
                },
                () = sleep_until(next_scan), if self.scanning.is_none() => {
                    self.scanning = Some(scan(&self.shared, self.known()));
                }
            }
        }
        (self.scanning, self.scanning_paused) = (None, None);
        self.shared.parts.hub.forget_controlled();
        self.places.clear();
        self.standing.clear();
        self.hints.clear();
        if shutdown.is_cancelled() {
            self.drain(lost).await;
        }
        // Without the lease, workers end at once.
        while self.work.next().await.is_some() {}
    }

    /// Lets calls under way end, within the drain time. Its last part is for recording those that
    /// don't.
    async fn drain(&mut self, lost: &CancellationToken) {
        self.signals.drain.cancel();
        let drain = self.shared.parts.settings.drain;
        let recording = (drain / 4).clamp(RECORDING.0, RECORDING.1);
        if self.end_within(drain.saturating_sub(recording), lost).await {
            return;
        }
        tracing::warn!(
            "cancelled calls that outlast the drain time: the next owners of their runs retry them"
        );
        self.signals.abort.cancel();
        if !self.end_within(recording, lost).await {
            tracing::warn!(
                "runs could not be appended to in time: their next owners take them as after a crash"
            );
            self.signals.lost.cancel();
        }
    }

    /// Whether all workers have ended within this time, or the lease is lost.
    async fn end_within(&mut self, time: Duration, lost: &CancellationToken) -> bool {
        let ended = async { while self.work.next().await.is_some() {} };
        tokio::select! {
            () = ended => true,
            () = lost.cancelled() => true,
            () = sleep(time) => false,
        }
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

    /// Runs that a scan need not look at. Those that wait for a place are looked at: this keeps the
    /// lease of their previous owner from returning to it meanwhile.
    fn known(&self) -> HashSet<RunId> {
        let now = Instant::now();
        let aside = self.aside.iter().filter(|(_, aside)| aside.until > now).map(|(run, _)| *run);
        let ours = self.seats.keys().chain(self.hints.keys()).chain(&self.broken).copied();
        ours.chain(aside).collect()
    }

    fn found(&mut self, finding: Finding) {
        match finding {
            Finding::Work(_, run, _) if self.seats.contains_key(&run) => {}
            Finding::Work(_, run, _) if self.hints.contains_key(&run) => {}
            Finding::Work(owner, run, previous) => self.start(owner, run, previous),
            Finding::Theirs(owner, run) => {
                let is_taken_over =
                    |waiting: &Waiting| waiting.previous.0.is_some() && waiting.standby.is_none();
                self.places.withdraw(owner, run, is_taken_over);
            }
            Finding::Unreadable(run) => {
                tracing::error!(%run, "the row of an open run can't be read: run `claviger replay`");
                self.set_aside(run);
            }
        }
    }

    /// The run is looked at again later, each time after a longer pause.
    fn set_aside(&mut self, run: RunId) {
        let tries = self.aside.get(&run).map_or(0, |aside| aside.tries);
        let pause = ASIDE.min(Duration::from_secs(1 << tries.min(16)));
        self.aside.insert(run, Aside { tries: tries + 1, until: Instant::now() + pause });
        self.report_aside();
    }

    fn report_aside(&self) {
        let count = i64::try_from(self.aside.len()).unwrap_or(i64::MAX);
        self.shared.parts.metrics.runs_set_aside().set(count);
    }

    fn start(&mut self, owner: UserId, run: RunId, previous: PreviousOwner) {
        if self.broken.contains(&run) {
            return;
        }
        if self.seats.contains_key(&run) {
            self.again.insert(run);
        } else if let Some(hint) = self.hints.get_mut(&run) {
            // It comes back as if what it waits for had come.
            if let Some(hint) = hint.take() {
                // It is back already if nobody receives this.
                let _ = hint.send(());
            }
        } else {
            self.places.wait(owner, run, Waiting { previous, standby: None });
            self.fill();
        }
    }

    fn comes_back(&mut self, owner: UserId, run: RunId, standby: Box<Standby>) {
        self.hints.remove(&run);
        let waiting = Waiting { previous: PreviousOwner(None), standby: Some(standby) };
        self.places.wait_first(owner, run, waiting);
        self.fill();
    }

    /// Hands out places.
    fn fill(&mut self) {
        while let Some((owner, run, waiting)) = self.places.next() {
            let (leave, asked) = watch::channel(false);
            self.seated += 1;
            let number = self.seated;
            self.seats.insert(run, Seat { number, owner, is_idle: false, leave });
            let Waiting { previous, standby } = waiting;
            let chair = Chair { run, number, leave: asked, idle: self.idle.0.clone() };
            let task = Task { owner, run, previous, standby };
            let working = work(Arc::clone(&self.shared), task, self.signals.clone(), chair);
            let task = self.shared.parts.tracker.spawn(working);
            self.work
                .push(async move { (owner, run, task.await.unwrap_or(Outcome::Broken)) }.boxed());
        }
        self.make_room();
    }

    fn is_idle(&mut self, Idle { run, number, waits }: Idle) {
        if let Some(seat) = self.seats.get_mut(&run).filter(|seat| seat.number == number) {
            seat.is_idle = waits;
            if !waits {
                seat.leave.send_replace(false);
            }
            self.make_room();
        }
    }

    /// Asks as many runs that only wait to leave their places as want one; those first whose owners
    /// hold the most.
    fn make_room(&self) {
        let wanted = self.places.waiting();
        if wanted == 0 {
            return;
        }
        let asked = self.seats.values().filter(|seat| *seat.leave.borrow()).count();
        if wanted <= asked {
            return;
        }
        let mut idle: Vec<_> =
            self.seats.values().filter(|seat| seat.is_idle && !*seat.leave.borrow()).collect();
        idle.sort_by_key(|seat| std::cmp::Reverse(self.places.held(seat.owner)));
        for seat in idle.into_iter().take(wanted - asked) {
            seat.leave.send_replace(true);
        }
    }

    fn ended(&mut self, owner: UserId, run: RunId, outcome: Outcome) {
        self.seats.remove(&run);
        self.places.leave(owner);
        let is_hinted = self.again.remove(&run);
        match outcome {
            Outcome::Broken => drop(self.broken.insert(run)),
            Outcome::Unreadable => self.set_aside(run),
            Outcome::Waits(standby) if is_hinted => self.comes_back(owner, run, standby),
            Outcome::Waits(standby) => self.stand_by(owner, run, standby),
            Outcome::Rests | Outcome::Left => {
                if self.aside.remove(&run).is_some() {
                    self.report_aside();
                }
                if is_hinted {
                    self.start(owner, run, PreviousOwner(None));
                }
            }
        }
        self.fill();
    }

    fn stand_by(&mut self, owner: UserId, run: RunId, mut standby: Box<Standby>) {
        let (hint, hinted) = oneshot::channel();
        self.hints.insert(run, Some(hint));
        let timer = Arc::clone(&self.shared.env().timer);
        let standing = async move {
            standby.until_due(&*timer, hinted).await;
            (owner, run, standby)
        };
        self.standing.push(standing.boxed());
    }
}

//! Timers: key expiry, key tests left open by a crash, old command records. One process at a time
//! runs them, by lease. A late timer admits nothing it shouldn't: wherever expiry matters, the
//! clock is checked directly.
//!
//! The timers that are due are run in turn by owner. One that fails is put off, each time for
//! longer, and one that has nothing left to do is removed: no timer stays in the way of others.

use crate::bus::Bus;
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use crate::system::metrics::{Level, Metrics};
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, RunId, TestId, UserId};
use claviger_projections::ports::{Store, TimerKind, TimerRow};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const TICK: Duration = Duration::from_secs(1);

/// Most timers that are read at a time.
const BATCH: usize = 1_000;

/// Most batches in one tick.
const BATCHES: usize = 10;

/// Ticks between two sweeps of old records.
const SWEEP: u64 = 600;

/// For how long a timer that failed is put off, at first and at most, in milliseconds.
const PUT_OFF_MS: (u64, u64) = (10_000, 3_600_000);

/// Most timers whose failures are counted. Others are put off for the shortest time.
const COUNTED: usize = 10_000;

type TimerId = (TimerKind, UserId, Uuid);

#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Timers {
    store: Arc<dyn Store>,
    bus: Arc<Bus>,
    env: Environment,
    /// How often each timer has failed in a row.
    failures: Mutex<HashMap<TimerId, u32>>,
    put_off: Level,
}

const fn id_of(timer: &TimerRow) -> TimerId {
    (timer.kind, timer.owner, timer.subject)
}

/// One timer of each owner, then another of each.
fn by_turns(due: Vec<TimerRow>) -> Vec<TimerRow> {
    let mut order = VecDeque::new();
    let mut of: HashMap<UserId, VecDeque<TimerRow>> = HashMap::new();
    for timer in due {
        let own = of.entry(timer.owner).or_default();
        if own.is_empty() {
            order.push_back(timer.owner);
        }
        own.push_back(timer);
    }
    let mut turns = Vec::new();
    while let Some(owner) = order.pop_front() {
        let Some(own) = of.get_mut(&owner) else { continue };
        turns.extend(own.pop_front());
        if !own.is_empty() {
            order.push_back(owner);
        }
    }
    turns
}

impl Timers {
    pub fn new(store: Arc<dyn Store>, bus: Arc<Bus>, env: Environment) -> Self {
        Self { store, bus, env, failures: Mutex::default(), put_off: Level::default() }
    }

    /// Reports how many timers are put off.
    #[must_use]
    pub fn counted(self, metrics: &Metrics) -> Self {
        Self { put_off: metrics.timers_put_off(), ..self }
    }

    /// Runs due timers every tick until cancelled: at shutdown, or when the lease is lost.
    pub async fn run(self: Arc<Self>, over: CancellationToken) {
        let mut ticks: u64 = 0;
        loop {
            self.do_due(&over).await;
            if ticks.is_multiple_of(SWEEP)
                && let Err(error) = self.store.forget_records(self.env.believed_now()).await
            {
                tracing::warn!(%error, "cannot delete old command records now");
            }
            ticks += 1;
            tokio::select! {
                () = over.cancelled() => return,
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// Runs the due timers. One that fails is put off.
    pub async fn tick(&self) {
        self.do_due(&CancellationToken::new()).await;
    }

    async fn do_due(&self, over: &CancellationToken) {
        for _ in 0..BATCHES {
            let due = match self.store.due_timers(self.env.believed_now(), BATCH).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::warn!(%error, "cannot read timers now");
                    return;
                }
            };
            let is_all = due.len() < BATCH;
            for timer in by_turns(due) {
                if over.is_cancelled() {
                    return;
                }
                self.run_one(&timer).await;
            }
            if is_all {
                return;
            }
        }
    }

    async fn run_one(&self, timer: &TimerRow) {
        match self.dispatch(timer).await {
            Ok(()) => {
                self.failures().remove(&id_of(timer));
                self.remove_done(timer).await;
            }
            Err(failure) => {
                let pause = self.pause(timer);
                let until = self.env.believed_now().plus_ms(pause);
                let (kind, code) = (timer.kind, failure.code.as_str());
                tracing::warn!(?kind, owner = %timer.owner, code, "a timer failed and is put off for {pause} ms");
                if let Err(error) = self.store.move_timer(*timer, Some(until)).await {
                    tracing::warn!(%error, "cannot put a timer off: it stays due");
                }
            }
        }
        let failing = i64::try_from(self.failures().len()).unwrap_or(i64::MAX);
        self.put_off.set(failing);
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<TimerId, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a timer is put off that failed once more, in milliseconds.
    fn pause(&self, timer: &TimerRow) -> u64 {
        let mut failures = self.failures();
        let before = failures.get(&id_of(timer)).copied().unwrap_or_default();
        if failures.len() < COUNTED || before > 0 {
            failures.insert(id_of(timer), before.saturating_add(1));
        }
        let (first, most) = PUT_OFF_MS;
        (first << before.min(16)).min(most)
    }

    /// The commands of a timer remove it with their events. One that is left, although it ran,
    /// has nothing to do: what it was for is gone.
    async fn remove_done(&self, timer: &TimerRow) {
        let is_due = self.env.clock.now() >= timer.due_at;
        match timer.kind {
            TimerKind::KeyExpiry | TimerKind::KeyTest if is_due => {}
            // Text is deleted in parts, the timer with the last; a clock that was set back makes a
            // timer early.
            TimerKind::KeyExpiry | TimerKind::KeyTest | TimerKind::DeltaExpiry => return,
        }
        if let Err(error) = self.store.move_timer(*timer, None).await {
            tracing::warn!(%error, "cannot remove a timer: it stays due");
        }
    }

    async fn dispatch(&self, timer: &TimerRow) -> Result<(), Failure> {
        let TimerRow { owner, subject, .. } = *timer;
        match timer.kind {
            TimerKind::KeyExpiry => self.bus.record_expiry(owner, KeyId(subject)).await,
            TimerKind::KeyTest => {
                self.bus.close_abandoned_test(owner, TestId(subject), timer.command).await
            }
            // Leaves no event.
            TimerKind::DeltaExpiry => {
                let expired = self.store.expire_deltas(owner, RunId(subject)).await;
                expired.map(drop).map_err(|error| store_failure(&error))
            }
        }
    }
}

//! The outside world of a test: a clock that is held or put forward, the system's ids, and the
//! system's randomness with or without the waits that it decides.

use claviger::system::environment::{Clock, Environment, OsEntropy, Timer};
use claviger_domain::timestamp::{Timestamp, Uptime};
use claviger_projections::ports::NoClock;
use claviger_vault::Entropy;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;
use uuid::Uuid;

/// 2026-11-23T15:00:00Z, where every held clock begins.
pub(crate) const NOW: Timestamp = Timestamp(1_795_446_000_000);

/// A clock that a test moves: held at [`NOW`], or the system's put forward.
pub(crate) struct TestClock {
    /// The clock underneath; a held one has none.
    system: Option<Arc<dyn Clock>>,
    moved_ms: AtomicU64,
    /// By how much the time of day was set back.
    behind_ms: AtomicU64,
}

impl TestClock {
    /// Stands still until it is moved.
    pub(crate) fn held() -> Arc<Self> {
        Arc::new(Self {
            system: None,
            moved_ms: AtomicU64::new(NOW.0),
            behind_ms: AtomicU64::new(0),
        })
    }

    /// Goes on with the system's.
    pub(crate) fn running() -> Arc<Self> {
        let system = Some(system().clock);
        Arc::new(Self { system, moved_ms: AtomicU64::new(0), behind_ms: AtomicU64::new(0) })
    }

    pub(crate) fn now(&self) -> Timestamp {
        let base = self.system.as_ref().map_or(Timestamp(0), |system| system.now());
        let now = base.plus_ms(self.moved_ms.load(Ordering::SeqCst));
        Timestamp(now.0 - self.behind_ms.load(Ordering::SeqCst))
    }

    /// Sets the time of day back; no time has passed.
    pub(crate) fn set_back_ms(&self, ms: u64) {
        self.behind_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn advance_ms(&self, ms: u64) {
        self.moved_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    fn uptime(&self) -> Uptime {
        let base = self.system.as_ref().map_or(Uptime(0), |system| system.uptime());
        base.plus_ms(self.moved_ms.load(Ordering::SeqCst))
    }
}

/// A timer that stands still until a test moves it, and takes a clock along.
pub(crate) struct TestTimer {
    elapsed_ms: watch::Sender<u64>,
    /// The moments that something waits for, each with how many do.
    awaited: Arc<watch::Sender<BTreeMap<u64, usize>>>,
    clock: Arc<TestClock>,
}

/// Waits for a moment as long as it lives.
struct Awaited {
    at_ms: u64,
    all: Arc<watch::Sender<BTreeMap<u64, usize>>>,
}

impl Awaited {
    fn new(at_ms: u64, all: &Arc<watch::Sender<BTreeMap<u64, usize>>>) -> Self {
        all.send_modify(|all| *all.entry(at_ms).or_default() += 1);
        Self { at_ms, all: Arc::clone(all) }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.all.send_modify(|all| match all.get_mut(&self.at_ms) {
            Some(1) | None => drop(all.remove(&self.at_ms)),
            Some(waiting) => *waiting -= 1,
        });
    }
}

impl TestTimer {
    pub(crate) fn with(clock: &Arc<TestClock>) -> Arc<Self> {
        let awaited = Arc::new(watch::Sender::default());
        Arc::new(Self { elapsed_ms: watch::Sender::new(0), awaited, clock: Arc::clone(clock) })
    }

    pub(crate) fn clock(&self) -> &TestClock {
        &self.clock
    }

    /// Moves timer and clock.
    pub(crate) fn advance_ms(&self, ms: u64) {
        self.clock.advance_ms(ms);
        self.elapsed_ms.send_modify(|elapsed| *elapsed += ms);
    }

    /// Waits until something waits for a moment to come. Returns how far it is, in milliseconds.
    pub(crate) async fn awaited_ms(&self) -> u64 {
        let mut awaited = self.awaited.subscribe();
        loop {
            let next = awaited
                .borrow_and_update()
                .range(self.elapsed_ms() + 1..)
                .next()
                .map(|(at, _)| *at);
            match next {
                Some(next) => return next - self.elapsed_ms(),
                None => awaited.changed().await.unwrap(),
            }
        }
    }

    /// Moves both to the next moment that something waits for.
    pub(crate) async fn step(&self) {
        let next = self.awaited_ms().await;
        self.advance_ms(next);
    }
}

impl Timer for TestTimer {
    fn elapsed_ms(&self) -> u64 {
        *self.elapsed_ms.borrow()
    }

    fn until(&self, elapsed_ms: u64) -> BoxFuture<'static, ()> {
        let (mut moved, awaited) =
            (self.elapsed_ms.subscribe(), Awaited::new(elapsed_ms, &self.awaited));
        Box::pin(async move {
            drop(moved.wait_for(|elapsed| *elapsed >= elapsed_ms).await);
            drop(awaited);
        })
    }
}

/// By a timer that a test moves, which takes the clock along; and with no wait that chance decides.
pub(crate) fn by_timer() -> (Arc<TestTimer>, Environment) {
    let (clock, env) = without_waits();
    let timer = TestTimer::with(&clock);
    let moved = Arc::<TestTimer>::clone(&timer);
    (timer, Environment { timer: moved, ..env })
}

/// Waits are drawn from eight bytes. Keys and nonces are longer, and stay the operating system's.
const DRAWN: usize = 8;

/// Draws zero wherever a wait is drawn between nothing and a bound.
struct NoWaits(OsEntropy);

impl Entropy for NoWaits {
    fn fill(&self, out: &mut [u8]) {
        if out.len() == DRAWN { out.fill(0) } else { self.0.fill(out) }
    }
}

/// The operating system's clock, ids and randomness.
pub(crate) fn system() -> Environment {
    Environment::system()
}

/// The system's, by this clock, which a test may move by days: no other clock contradicts it.
pub(crate) fn by(clock: &Arc<TestClock>) -> Environment {
    let clock = Arc::<TestClock>::clone(clock);
    Environment { clock, other_clock: Arc::new(NoClock), ..system() }
}

/// By a running clock, and with no wait that chance decides.
pub(crate) fn without_waits() -> (Arc<TestClock>, Environment) {
    let clock = TestClock::running();
    let env = Environment { entropy: Arc::new(NoWaits(OsEntropy)), ..by(&clock) };
    (clock, env)
}

/// An id that nothing has.
pub(crate) fn fresh() -> Uuid {
    system().ids.next()
}

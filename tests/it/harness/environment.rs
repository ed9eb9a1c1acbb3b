//! The outside world of a test: a clock that is held or put forward, the system's ids, and the
//! system's randomness with or without the waits that it decides.

use claviger::system::environment::{Clock, Environment, OsEntropy};
use claviger_domain::timestamp::{Timestamp, Uptime};
use claviger_projections::ports::NoClock;
use claviger_vault::Entropy;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

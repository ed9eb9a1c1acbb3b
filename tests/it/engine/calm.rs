//! An environment without waits: a random wait between zero and a bound is zero, and the clock
//! advances by itself or is advanced.

use claviger::system::environment::{Clock, Environment};
use claviger_domain::timestamp::{Timestamp, Uptime};
use claviger_projections::ports::NoClock;
use claviger_vault::Entropy;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Length of the random bytes of a wait. Keys and nonces are longer, and come from the operating
/// system.
const DRAWN: usize = 8;

struct NoWaits(Arc<dyn Entropy>);

impl Entropy for NoWaits {
    fn fill(&self, out: &mut [u8]) {
        if out.len() == DRAWN { out.fill(0) } else { self.0.fill(out) }
    }
}

/// A clock that can be put forward.
pub(super) struct Forward {
    system: Arc<dyn Clock>,
    by_ms: AtomicU64,
}

impl Forward {
    pub(super) fn put(&self, ms: u64) {
        self.by_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Forward {
    fn now(&self) -> Timestamp {
        self.system.now().plus_ms(self.by_ms.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Uptime {
        self.system.uptime().plus_ms(self.by_ms.load(Ordering::SeqCst))
    }
}

/// Nothing is waited for that chance decides.
pub(super) fn calm() -> Environment {
    forward().1
}

/// The same, and its clock.
pub(super) fn forward() -> (Arc<Forward>, Environment) {
    let system = Environment::system();
    let clock = Arc::new(Forward { system: system.clock, by_ms: AtomicU64::new(0) });
    let env = Environment {
        clock: Arc::<Forward>::clone(&clock),
        ids: system.ids,
        entropy: Arc::new(NoWaits(system.entropy)),
        kernel: system.kernel,
        other_clock: Arc::new(NoClock),
    };
    (clock, env)
}

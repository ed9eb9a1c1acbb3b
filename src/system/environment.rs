//! Clock, ids and randomness as ports, so that tests can control them.

use super::other_clock::{BootClock, since_boot_ms};
use claviger_domain::timestamp::{Timestamp, Uptime};
use claviger_projections::ports::{AHEAD_MAX_MS, OtherClock};
use claviger_vault::Entropy;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

pub trait Clock: Send + Sync {
    /// The current time of day, which may be set back.
    fn now(&self) -> Timestamp;

    /// The time on a clock that never goes back: for limits, and for rests that a process keeps.
    fn uptime(&self) -> Uptime;
}

/// How much time has passed. Unlike the time of day it never jumps and never goes back, so what is
/// waited for is waited for by it.
pub trait Timer: Send + Sync {
    /// Milliseconds since some moment before.
    fn elapsed_ms(&self) -> u64;

    /// Resolves once so much has passed since that moment.
    fn until(&self, elapsed_ms: u64) -> BoxFuture<'static, ()>;
}

pub trait Ids: Send + Sync {
    /// A UUID, version 7: later ones sort after earlier ones.
    fn next(&self) -> Uuid;
}

/// What the operating system's kernel offers.
pub trait Kernel: Send + Sync {
    /// Whether it keeps a process to the files that were granted to it.
    fn has_landlock(&self) -> bool;

    /// Whether it keeps a process to the system calls that were granted to it.
    fn has_call_filter(&self) -> bool;
}

/// The program's ports to its environment.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct Environment {
    pub clock: Arc<dyn Clock>,
    pub timer: Arc<dyn Timer>,
    pub ids: Arc<dyn Ids>,
    /// Source of keys, nonces and tokens.
    pub entropy: Arc<dyn Entropy>,
    pub kernel: Arc<dyn Kernel>,
    /// A second opinion on the time.
    pub other_clock: Arc<dyn OtherClock>,
}

impl Environment {
    /// The operating system's clock and randomness.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            timer: Arc::new(SystemTimer::default()),
            ids: Arc::new(SystemIds),
            entropy: Arc::new(OsEntropy),
            kernel: Arc::new(ThisKernel),
            other_clock: Arc::new(BootClock::start(Arc::new(SystemClock))),
        }
    }

    /// The time, but never far ahead of the other clock: for what is done because time has passed.
    pub fn believed_now(&self) -> Timestamp {
        let now = self.clock.now();
        self.other_clock.now().map_or(now, |other| now.min(other.plus_ms(AHEAD_MAX_MS)))
    }
}

#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)).min(Timestamp::MAX)
    }

    fn uptime(&self) -> Uptime {
        Uptime(since_boot_ms())
    }
}

/// The operating system's monotonic clock.
#[derive(Debug)]
pub struct SystemTimer(Instant);

impl Default for SystemTimer {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Timer for SystemTimer {
    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn until(&self, elapsed_ms: u64) -> BoxFuture<'static, ()> {
        let left = elapsed_ms.saturating_sub(self.elapsed_ms());
        Box::pin(sleep(Duration::from_millis(left)))
    }
}

/// Time-ordered ids from the operating system's clock and randomness.
#[derive(Debug)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

#[derive(Debug)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, out: &mut [u8]) {
        if getrandom::fill(out).is_err() {
            // A predictable key or nonce would be worse than a dead process.
            std::process::abort();
        }
    }
}

#[derive(Debug)]
pub struct ThisKernel;

impl Kernel for ThisKernel {
    fn has_landlock(&self) -> bool {
        crate::confined::has_landlock()
    }

    fn has_call_filter(&self) -> bool {
        crate::confined::has_call_filter()
    }
}

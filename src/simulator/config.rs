//! The simulator's settings.

use claviger_domain::timestamp::Timestamp;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Returns the current time.
pub type SimulatorClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

#[derive(Clone)]
pub struct SimulatorConfig {
    /// The address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// For the dates in headers and texts.
    pub clock: SimulatorClock,
    /// The `retry-after` of a rate-limited key, in seconds.
    pub retry_after_s: u64,
    /// Delay before each piece of streamed text.
    pub chunk_delay: Duration,
    /// Characters per piece of streamed text.
    pub chunk_chars: usize,
    /// Delay before each tenth of a slow response.
    pub slow_delay: Duration,
    /// The target of redirects.
    pub redirect_to: String,
    /// Whether to record request bodies for a test.
    pub record_bodies: bool,
}

impl SimulatorConfig {
    /// A free port of this machine, and no delays except the slow scenario's.
    pub fn new(clock: SimulatorClock) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock,
            retry_after_s: 30,
            chunk_delay: Duration::ZERO,
            chunk_chars: 24,
            slow_delay: Duration::from_millis(200),
            redirect_to: "https://redirected.invalid/".to_owned(),
            record_bodies: false,
        }
    }
}

impl SimulatorConfig {
    /// The same, with text streamed at a comfortable reading speed: some 240 characters a second,
    /// six at a time.
    #[must_use]
    pub fn lively(self) -> Self {
        Self { chunk_delay: Duration::from_millis(25), chunk_chars: 6, ..self }
    }
}

impl fmt::Debug for SimulatorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorConfig").field("listen", &self.listen).finish_non_exhaustive()
    }
}

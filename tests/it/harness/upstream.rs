//! Anthropic, simulated.

use super::environment::NOW;
use claviger::simulator::{Simulator, SimulatorConfig};
use claviger::system::environment::Clock;
use std::sync::Arc;
use std::time::Duration;

/// An address at which nothing listens, for tests that call no upstream.
pub(crate) const NO_UPSTREAM: &str = "http://127.0.0.1:9";

/// The time is always [`NOW`], and a slow answer takes a few milliseconds.
pub(crate) fn held() -> SimulatorConfig {
    quick(SimulatorConfig::new(Arc::new(|| NOW)))
}

/// The same by a clock.
pub(crate) fn by(clock: Arc<dyn Clock>) -> SimulatorConfig {
    quick(SimulatorConfig::new(Arc::new(move || clock.now())))
}

fn quick(config: SimulatorConfig) -> SimulatorConfig {
    SimulatorConfig { slow_delay: Duration::from_millis(1), ..config }
}

/// A running one whose time is [`NOW`].
pub(crate) async fn simulator() -> Simulator {
    Simulator::start(held()).await.unwrap()
}

//! The state that the simulator's calls share.

use super::config::SimulatorConfig;
use super::counts::Counts;
use super::script::Script;
use claviger_domain::timestamp::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;

struct Shared {
    config: SimulatorConfig,
    counts: Counts,
    script: Script,
    stop: CancellationToken,
    ids: AtomicU64,
}

/// The state that all calls share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Upstream(Arc<Shared>);

impl Upstream {
    pub(super) fn new(config: SimulatorConfig) -> Self {
        Self(Arc::new(Shared {
            config,
            counts: Counts::new(),
            script: Script::default(),
            stop: CancellationToken::new(),
            ids: AtomicU64::new(1),
        }))
    }

    pub(super) fn config(&self) -> &SimulatorConfig {
        &self.0.config
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    pub(super) fn script(&self) -> &Script {
        &self.0.script
    }

    pub(super) fn stop_token(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.0.config.clock)()
    }

    /// The next id, in the API's format.
    pub(super) fn next_id(&self, kind: &str) -> String {
        format!("{kind}_01Simulated{:013}", self.0.ids.fetch_add(1, Ordering::Relaxed))
    }
}

//! What the engine stands on.

use super::credentials::Operator;
use super::queue::Queue;
use crate::anthropic::client::AnthropicClient;
use crate::anthropic::prices::PriceTable;
use crate::anthropic::stream::StreamLimits;
use crate::bus::Bus;
use crate::live::{EventHub, RunHub};
use crate::reads::StoreReads;
use crate::system::environment::Effects;
use claviger_projections::flusher::FlushHandle;
use claviger_projections::ports::{Holder, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Bounds and times.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// How long this process is believed to work on its runs unless it says so again.
    pub lease: Duration,
    /// How long calls under way may take to end at shutdown.
    pub drain: Duration,
    /// Most runs worked on at once.
    pub runs_at_once: usize,
    /// Most calls at once with one credential.
    pub calls_per_key: usize,
    /// Most calls at once in all.
    pub calls_at_once: usize,
    /// For how long a step is tried again after faults of the upstream.
    pub retry_budget: Duration,
    /// Where the patience with a call ends.
    pub limits: StreamLimits,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            drain: Duration::from_secs(20),
            runs_at_once: 1_000,
            calls_per_key: 16,
            calls_at_once: 512,
            retry_budget: Duration::from_mins(10),
            limits: StreamLimits::default(),
        }
    }
}

/// What the engine is made of.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct EngineParts {
    /// Keys and appends.
    pub bus: Arc<Bus>,
    /// Reads of runs, credentials, models.
    pub reads: Arc<StoreReads>,
    /// Who tells of what is asked.
    pub hub: Arc<EventHub>,
    /// Who is told of text.
    pub runs: Arc<RunHub>,
    /// Anthropic.
    pub client: AnthropicClient,
    /// What calls cost.
    pub prices: Arc<PriceTable>,
    /// The operator's own credentials.
    pub operator: Operator,
    /// This process.
    pub holder: Holder,
    /// All tasks.
    pub tracker: TaskTracker,
    /// Bounds and times.
    pub settings: EngineSettings,
}

/// The same with what the engine makes itself.
pub(super) struct Shared {
    pub(super) parts: EngineParts,
    pub(super) queue: Arc<Queue>,
    pub(super) flush: FlushHandle,
}

impl Shared {
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.parts.reads.store
    }

    pub(super) fn effects(&self) -> &Effects {
        &self.parts.reads.effects
    }

    /// Any number.
    pub(super) fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.effects().entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

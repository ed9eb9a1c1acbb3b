//! What the engine is built from.

use super::credentials::Operator;
use super::queue::Queue;
use crate::aggregates::Aggregates;
use crate::anthropic::client::AnthropicClient;
use crate::anthropic::prices::PriceTable;
use crate::anthropic::stream::StreamLimits;
use crate::bus::Bus;
use crate::credentials::Resolver;
use crate::live::{EventHub, RunHub};
use crate::reads::StoreReads;
use crate::system::environment::Environment;
use crate::system::metrics::Metrics;
use claviger_projections::flusher::FlushHandle;
use claviger_projections::ports::{Holder, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Bounds and times of the engine.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// How long this process keeps its runs after it last renewed its lease.
    pub lease: Duration,
    /// Longest time for calls under way to end at shutdown.
    pub drain: Duration,
    /// Most runs in progress at a time.
    pub runs_at_once: usize,
    /// Most calls at a time with one credential.
    pub calls_per_key: usize,
    /// Calls by Max Plan at a time: programs that may run.
    pub max_plan_calls: usize,
    /// Most calls at a time with all credentials.
    pub calls_at_once: usize,
    /// For how long a step is retried after faults of the upstream.
    pub retry_budget: Duration,
    /// Timeouts and size limits of a call.
    pub limits: StreamLimits,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            drain: Duration::from_secs(20),
            runs_at_once: 1_000,
            calls_per_key: 16,
            max_plan_calls: 4,
            calls_at_once: 512,
            retry_budget: Duration::from_mins(10),
            limits: StreamLimits::default(),
        }
    }
}

/// What the engine needs from the rest of the program.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct EngineParts {
    /// Appends.
    pub bus: Arc<Bus>,
    /// Reads runs, keys and accounts.
    pub reads: Arc<StoreReads>,
    /// Resolves credentials, and lists the models.
    pub resolver: Arc<Resolver>,
    /// Publishes control requests.
    pub hub: Arc<EventHub>,
    /// Receives the text of runs.
    pub runs: Arc<RunHub>,
    pub client: AnthropicClient,
    pub prices: Arc<PriceTable>,
    pub operator: Operator,
    pub metrics: Metrics,
    /// The id of this process in leases.
    pub holder: Holder,
    /// Spawns the engine's tasks, so that shutdown waits for them.
    pub tracker: TaskTracker,
    pub settings: EngineSettings,
}

/// The parts, with those that the engine creates itself.
pub(super) struct Shared {
    pub(super) parts: EngineParts,
    pub(super) queue: Arc<Queue>,
    pub(super) flush: FlushHandle,
}

impl Shared {
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.parts.reads.store
    }

    pub(super) fn aggregates(&self) -> &Aggregates {
        &self.parts.reads.aggregates
    }

    pub(super) fn env(&self) -> &Environment {
        &self.parts.reads.env
    }

    /// A random number.
    pub(super) fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.env().entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

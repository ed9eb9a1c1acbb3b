//! The command bus: load, decide, seal, append, retry. Every face sends its commands here, so the
//! same rules hold for all of them.

mod accounts;
mod folds;
mod input;
mod key_tests;
mod keys;
mod locks;
mod runs;

pub use accounts::{AccountCall, AccountDone};
pub use runs::{RunBus, RunSettings, WakeEngine};

use crate::anthropic::probe::KeyProbe;
use crate::keychain::Keychain;
use crate::system::environment::Environment;
use crate::system::metrics::Metrics;
use claviger_domain::account::Account;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::key_ring::KeyRing;
use claviger_domain::orchestration::{Run, RunControl};
use claviger_domain::text::ModelId;
use claviger_projections::ports::{Append, AppendError, Appended, CommandRecord, Store};
use folds::Folds;
use locks::StreamLocks;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// How often a command is decided again because another process wrote to its stream meanwhile.
const MAX_TRIES: usize = 10;

/// How long a command record is kept: seven days.
const RECORD_MS: u64 = 7 * 24 * 3600 * 1000;

/// The configuration of the bus.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// Most keys a user may have.
    pub max_keys: usize,
    /// Timeout of one key test, in milliseconds.
    pub test_timeout_ms: u64,
    /// The model for key tests that name none.
    pub test_model: ModelId,
    pub metrics: Metrics,
}

#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Bus {
    store: Arc<dyn Store>,
    keychain: Arc<Keychain>,
    env: Environment,
    probe: KeyProbe,
    config: BusConfig,
    tracker: TaskTracker,
    locks: StreamLocks,
    rings: Folds<KeyRing>,
    accounts: Folds<Account>,
    runs: Folds<Run>,
    controls: Folds<RunControl>,
}

/// The bus as the schema's port.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Commands(pub Arc<Bus>);

impl Bus {
    /// Creates a bus over a store. Commands run as tasks of the tracker, so neither a disconnected
    /// client nor a shutdown interrupts one.
    pub fn new(
        store: Arc<dyn Store>,
        keychain: Arc<Keychain>,
        env: Environment,
        probe: KeyProbe,
        config: BusConfig,
        tracker: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            keychain,
            env,
            probe,
            config,
            tracker,
            locks: StreamLocks::default(),
            rings: Folds::new(),
            accounts: Folds::new(),
            runs: Folds::new(),
            controls: Folds::new(),
        })
    }

    /// Appends, and records the metrics.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let (events, began_at) = (append.events.len(), Instant::now());
        let appended = self.store.append(append).await;
        let outcome = match &appended {
            Ok(_) => "done",
            Err(AppendError::Conflict { .. }) => "conflict",
            Err(AppendError::ClaimTaken { .. }) => "claim_taken",
            Err(AppendError::Repeated(_)) => "repeated",
            Err(AppendError::UserKeyMoved { .. } | AppendError::MasterKeyMoved { .. }) => {
                "keys_moved"
            }
            Err(
                AppendError::Malformed(_)
                | AppendError::Store(_)
                | AppendError::NotReadByAll { .. },
            ) => "failed",
        };
        self.config.metrics.appended(outcome, events, began_at.elapsed());
        appended
    }

    /// Runs work as a task of its own and waits for it.
    async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        match self.tracker.spawn(work).await {
            Ok(result) => result,
            Err(error) => {
                tracing::error!(
                    panicked = error.is_panic(),
                    "a command's task ended without a result"
                );
                Err(Failure::internal())
            }
        }
    }
}

/// The idempotency key was used before, with another request.
fn reused() -> Failure {
    Failure::new(
        ErrorCode::IdempotencyKeyReused,
        "this idempotency key was used before with another request: use a new key, or send exactly \
         the same request again",
    )
    .at(&["input", "idempotencyKey"])
}

/// Checks that the record belongs to this very request.
fn same_request(record: &CommandRecord, request_hash: &[u8; 32]) -> Result<(), Failure> {
    if record.request_hash == *request_hash { Ok(()) } else { Err(reused()) }
}

/// Too many concurrent writers on one stream: nothing was changed.
fn contended() -> Failure {
    Failure::new(ErrorCode::Conflict, "too many changes at once: nothing was changed, try again")
}

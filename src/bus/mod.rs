//! The command bus. Every face sends its commands here, so the same limits, preconditions and rules
//! hold for all of them.

mod accounts;
mod administration;
mod control_run;
mod executor;
mod input;
mod key_recipe;
mod key_tests;
mod keys;
mod locks;
mod preconditions;
mod records;
mod runs;
mod start_run;

pub use accounts::{AccountDone, AccountRequest};
pub use administration::AdministrationRequest;
pub(crate) use records::RECORD_MS;
pub use runs::{RunBus, RunSettings, WakeEngine};

use crate::aggregates::Aggregates;
use crate::anthropic::probe::KeyProbe;
use crate::keychain::{Keychain, UserKeys};
use crate::limits::CommandLimits;
use crate::system::environment::Environment;
use crate::system::metrics::Metrics;
use claviger_application::CommandKind;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::text::ModelId;
use claviger_projections::ports::{Append, AppendError, Appended, Store};
use locks::StreamLocks;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// How often a command is tried: another process may write to its stream between fold and append.
const MAX_TRIES: usize = 10;

/// The configuration of the bus.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// Most keys a user may have.
    pub max_keys: usize,
    /// Timeout of one key test, in milliseconds.
    pub test_timeout_ms: u64,
    /// The model for key tests that name none.
    pub test_model: ModelId,
    /// Whether users of an external issuer can administer accounts by the roles of their accounts:
    /// its tokens are accepted, and bring no roles.
    pub is_issuer_trusted: bool,
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
    aggregates: Arc<Aggregates>,
}

/// What the bus is built from.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct BusPorts {
    pub store: Arc<dyn Store>,
    pub keychain: Arc<Keychain>,
    pub env: Environment,
    pub aggregates: Arc<Aggregates>,
}

/// The bus as the port for commands on keys.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Commands {
    pub bus: Arc<Bus>,
    pub limits: Arc<CommandLimits>,
}

/// A command that enters: what limits and metrics go by.
struct Entry {
    kind: CommandKind,
    owner: UserId,
    /// About the bytes that it appends to the log, where they have a bound per user.
    bytes: usize,
}

impl From<(CommandKind, UserId)> for Entry {
    fn from((kind, owner): (CommandKind, UserId)) -> Self {
        Self { kind, owner, bytes: 0 }
    }
}

impl Bus {
    /// Creates a bus over a store. Commands run as tasks of the tracker, so neither a disconnected
    /// client nor a shutdown interrupts one.
    pub fn new(
        ports: BusPorts,
        probe: KeyProbe,
        config: BusConfig,
        tracker: TaskTracker,
    ) -> Arc<Self> {
        let BusPorts { store, keychain, env, aggregates } = ports;
        let locks = StreamLocks::default();
        Arc::new(Self { store, keychain, env, probe, config, tracker, locks, aggregates })
    }

    /// The entry point of every command except those of timers: applies the limits, runs the
    /// command as its own task, and counts it by its outcome.
    async fn enter<T: Send + 'static>(
        &self,
        entry: impl Into<Entry>,
        limits: &CommandLimits,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let began_at = Instant::now();
        let Entry { kind, owner, bytes } = entry.into();
        let done = match limits.take(kind, (owner, bytes), self.env.clock.uptime()) {
            Ok(()) => self.detached(work).await,
            Err(failure) => Err(failure),
        };
        let code = done.as_ref().err().map(|failure| failure.code);
        self.config.metrics.commanded(kind.name, code, began_at.elapsed());
        done
    }

    async fn keys_of(&self, owner: UserId) -> Result<Arc<UserKeys>, Failure> {
        let keys = self.keychain.user(owner).await?;
        keys.map(Arc::new).ok_or_else(|| Failure::not_found("account"))
    }

    /// Appends, and records the metrics.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let (events, began_at) = (append.events.len(), Instant::now());
        let appended = self.store.append(append).await;
        let outcome = match &appended {
            Ok(_) => "done",
            Err(AppendError::Conflict { .. } | AppendError::Unmet(_)) => "conflict",
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

    /// Runs work as its own task and waits for it.
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

/// Too many concurrent writers on one stream: nothing was changed.
fn contended() -> Failure {
    Failure::new(ErrorCode::Conflict, "too many changes at once: nothing was changed, try again")
}

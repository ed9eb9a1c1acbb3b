//! The command bus: load, decide, seal, append, retry. Every face gives its commands here, so the rules hold whatever the door.

mod accounts;
mod folds;
mod input;
mod keychain;
mod keys;
mod limited;
mod locks;
mod master_keys;
mod rewrap;
mod rotation;
mod rows;
mod run_rows;
mod runs;
mod sealing;
mod tests;

pub use accounts::{AccountCall, AccountDone};
pub(crate) use folds::decode;
pub use keychain::{Keychain, KeychainError, UserKeys};
pub(crate) use keys::scrub;
pub use limited::LimitedCommands;
pub(crate) use master_keys::hex;
pub use master_keys::{LookAgain, MasterKeys};
pub use rotation::{Progress, Rotated, Rotation, RotationError};
pub(crate) use rows::{SESSION_MS, account_row, key_row, open_account, open_key, open_user_agent};
pub(crate) use run_rows::{RunRows, open_run, open_run_row, read_open_run, run_row, run_row_says};
pub use runs::{RunBus, RunSettings, WakeEngine};
pub(crate) use sealing::{open_event, seal_events};

use crate::anthropic::probe::KeyProbe;
use crate::effects::Effects;
use crate::metrics::Metrics;
use claviger_domain::account::Account;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::key_ring::KeyRing;
use claviger_domain::orchestration::{Run, RunControl};
use claviger_domain::text::ModelId;
use claviger_projections::ports::{
    Append, AppendError, Appended, CommandRecord, Store, StoreError,
};
use claviger_vault::VaultError;
use folds::Folds;
use locks::StreamLocks;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// How often a command is decided anew because another process wrote to its stream meanwhile.
const MAX_TRIES: usize = 10;

/// How long a command record is kept: seven days.
const RECORD_MS: u64 = 7 * 24 * 3600 * 1000;

/// What the bus may be told by configuration.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// Most keys a user may have.
    pub max_keys: usize,
    /// How long one key test may take, in milliseconds.
    pub test_timeout_ms: u64,
    /// The model a key is tested with where none is named.
    pub test_model: ModelId,
    /// Where appends are counted.
    pub metrics: Metrics,
}

/// The command bus.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct Bus {
    store: Arc<dyn Store>,
    keychain: Arc<Keychain>,
    effects: Effects,
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
    /// A bus over a store. Commands run as tasks of the tracker, so that neither a client that leaves nor a shutdown cuts one in two.
    pub fn new(
        store: Arc<dyn Store>,
        keychain: Arc<Keychain>,
        effects: Effects,
        probe: KeyProbe,
        config: BusConfig,
        tracker: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            keychain,
            effects,
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

    /// Appends, and counts it.
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

    /// Runs a piece of work as a task of its own and waits for it.
    async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        match self.tracker.spawn(work).await {
            Ok(result) => result,
            Err(error) => {
                tracing::error!(
                    panicked = error.is_panic(),
                    "a command's task ended without an answer"
                );
                Err(Failure::internal())
            }
        }
    }
}

/// What a store's fault looks like from outside. What happened is logged here, once.
pub(crate) fn store_failure(error: &StoreError) -> Failure {
    match error {
        StoreError::Unavailable(_) | StoreError::Closed => {
            tracing::error!(%error, "the store didn't answer");
            Failure::new(
                ErrorCode::StoreUnavailable,
                "the store can't be reached now: nothing was changed, try again in a moment",
            )
        }
        StoreError::Corrupt(_) | StoreError::Gap { .. } => {
            tracing::error!(%error, "the store holds what was never written");
            Failure::internal()
        }
    }
}

/// What a vault's fault looks like from outside.
pub(crate) fn vault_failure(error: &VaultError) -> Failure {
    tracing::error!(%error, "the vault couldn't open or seal");
    if let VaultError::UnknownKek { .. } = error {
        // Names the key by its id, which is no secret. Only the operator can do something, and nothing is wrong with the request.
        let message =
            format!("this server lacks a master key: {error} and restart it, then try again");
        return Failure::new(ErrorCode::StoreUnavailable, message);
    }
    Failure::internal()
}

/// The idempotency key was used before, with another body.
fn reused() -> Failure {
    Failure::new(
        ErrorCode::IdempotencyKeyReused,
        "this idempotency key was used before with another request: take a new key, or send exactly the same request again",
    )
    .at(&["input", "idempotencyKey"])
}

/// Is the record that of this very request?
fn same_request(record: &CommandRecord, request_hash: &[u8; 32]) -> Result<(), Failure> {
    if record.request_hash == *request_hash { Ok(()) } else { Err(reused()) }
}

/// Too many writers on one stream for too long: nothing was changed.
fn contended() -> Failure {
    Failure::new(ErrorCode::Conflict, "too many changes at once: nothing was changed, try again")
}

//! What faults of the store and the vault look like from outside. What happened is logged here,
//! once.

use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_projections::ports::StoreError;
use claviger_vault::VaultError;

/// What a client is told whose command may have been carried out.
const OUTCOME_UNKNOWN: &str = "the store stopped during this request, and whether it was carried out is not known: repeat it with \
     the same idempotency key once the server is back, or look first, since without a key it may be carried out twice";

/// The failure that clients see for a store error. Logs the cause, once.
pub(crate) fn store_failure(error: &StoreError) -> Failure {
    match error {
        StoreError::Unavailable(_) => {
            tracing::error!(%error, "the store is unavailable");
            Failure::new(
                ErrorCode::StoreUnavailable,
                "the store is unavailable: nothing was changed, try again in a moment",
            )
        }
        // It ends after a commit of which nobody knows whether it is on the disk, too.
        StoreError::Closed => {
            tracing::error!(%error, "the store has stopped, and what was under way has an unknown outcome");
            Failure::new(ErrorCode::StoreUnavailable, OUTCOME_UNKNOWN)
        }
        StoreError::Corrupt(_) | StoreError::Gap { .. } => {
            tracing::error!(%error, "the store contains data that was never written");
            Failure::internal()
        }
    }
}

/// The failure that clients see for a vault error.
pub(crate) fn vault_failure(error: &VaultError) -> Failure {
    tracing::error!(%error, "the vault failed to open or seal");
    if let VaultError::UnknownKek { .. } = error {
        // The message names the key by its id, which isn't secret. The request is valid; only the
        // operator can help.
        let message =
            format!("this server lacks a master key: {error} and restart it, then try again");
        return Failure::new(ErrorCode::StoreUnavailable, message);
    }
    Failure::internal()
}

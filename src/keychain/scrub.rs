//! Removes shredded bytes from the disk.

use claviger_projections::ports::Store;

/// Removes the bytes of shredded secrets from the disk. Also runs at each start, because a crash
/// may come between a deletion and its scrub.
pub(crate) async fn scrub(store: &dyn Store) {
    match store.scrub().await {
        Ok(true) => tracing::debug!("removed shredded bytes from the disk"),
        Ok(false) => tracing::debug!("readers delay the scrub: the store repeats it"),
        Err(error) => {
            tracing::warn!(%error, "cannot scrub: shredded bytes stay in the write-ahead log until the next scrub");
        }
    }
}

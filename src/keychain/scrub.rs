//! Removes shredded bytes from the disk.

use claviger_projections::ports::Store;

/// How often to try a scrub that open readers block; the store waits a while each time.
const MOST_SCRUBS: usize = 5;

/// Removes the bytes of shredded secrets from the disk. Also runs at each start, because a crash
/// may come between a deletion and its scrub.
pub(crate) async fn scrub(store: &dyn Store) {
    for _ in 0..MOST_SCRUBS {
        match store.scrub().await {
            Ok(true) => return tracing::debug!("removed shredded bytes from the disk"),
            Ok(false) => {}
            Err(error) => {
                return tracing::warn!(%error, "cannot scrub: shredded bytes stay in the write-ahead log until the next scrub");
            }
        }
    }
    tracing::warn!(
        "readers block the scrub: shredded bytes stay in the write-ahead log until the next one"
    );
}

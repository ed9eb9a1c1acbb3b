//! Serializes the commands of one stream within a process: concurrent ones would conflict in the
//! store anyway.

use claviger_domain::stream::StreamName;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::OwnedMutexGuard;

/// One lock per stream, created on demand and dropped when nothing holds or awaits it.
#[derive(Debug, Default)]
pub(crate) struct StreamLocks(Mutex<HashMap<StreamName, Weak<tokio::sync::Mutex<()>>>>);

impl StreamLocks {
    /// Waits for the streams' locks, each in order of arrival. Whoever holds none of them yet waits
    /// for nobody who waits for them.
    pub(crate) async fn lock_all(
        &self,
        streams: &BTreeSet<StreamName>,
    ) -> Vec<OwnedMutexGuard<()>> {
        let mut held = Vec::with_capacity(streams.len());
        for stream in streams {
            held.push(self.of(*stream).lock_owned().await);
        }
        held
    }

    fn of(&self, stream: StreamName) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&stream).and_then(Weak::upgrade) {
            return lock;
        }
        // Occasional sweeps keep the map close to the number of streams in use.
        if locks.len() >= 1024 && locks.len().is_power_of_two() {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::default();
        locks.insert(stream, Arc::downgrade(&lock));
        lock
    }
}

//! The master keys of a process that keeps running while they are rotated.

use claviger_vault::KekSet;
use std::sync::{Arc, PoisonError, RwLock};

/// Reads the master keys again from their source; `None` if they can't have changed or can't be
/// read now.
pub type LookAgain = Box<dyn Fn() -> Option<KekSet> + Send + Sync>;

/// The available master keys, and the one that seals new user keys. The store, not the order of the
/// list, decides which key seals: a rotation changes it for all processes at once.
#[expect(missing_debug_implementations, reason = "keys")]
pub struct MasterKeys {
    keks: RwLock<Arc<KekSet>>,
    sealing: RwLock<[u8; 8]>,
    again: Option<LookAgain>,
}

impl MasterKeys {
    pub(super) fn new(keks: KekSet, sealing: [u8; 8], again: Option<LookAgain>) -> Self {
        Self { keks: RwLock::new(Arc::new(keks)), sealing: RwLock::new(sealing), again }
    }

    fn at_hand(&self) -> Arc<KekSet> {
        Arc::clone(&self.keks.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys; read again from their source if `id` isn't among them.
    pub(super) fn having(&self, id: [u8; 8]) -> Arc<KekSet> {
        let at_hand = self.at_hand();
        if at_hand.get(id).is_ok() {
            return at_hand;
        }
        let Some(found) =
            self.again.as_ref().and_then(|again| again()).filter(|found| found.get(id).is_ok())
        else {
            return at_hand;
        };
        tracing::info!(
            master_key = hex(id),
            "read a new master key from the key file, because of a rotation"
        );
        let found = Arc::new(found);
        *self.keks.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&found);
        found
    }

    /// The id of the key that new user keys are wrapped by.
    pub fn sealing(&self) -> [u8; 8] {
        *self.sealing.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the store's newest key has changed.
    pub(crate) fn seal_under(&self, id: [u8; 8]) {
        *self.sealing.write().unwrap_or_else(PoisonError::into_inner) = id;
    }

    /// Ids of the available keys, in the order of the list.
    pub fn ids(&self) -> Vec<[u8; 8]> {
        self.at_hand().ids()
    }
}

/// An id in hex, as it is shown.
pub(crate) fn hex(id: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(id))
}

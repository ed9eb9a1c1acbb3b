//! Signatures of events. The store knows an event's leaf only inside the transaction that places
//! it, so it signs there; the key stays with the keychain.

use std::fmt;
use std::sync::{Arc, OnceLock};

/// Signs events with a key that writers of the store do not have.
pub trait SignEvents: Send + Sync {
    /// The signature of the event with this leaf after a log with this root: the root, and a MAC. A
    /// function of its input.
    fn sign(&self, leaf: &[u8; 32], before: &[u8; 32]) -> [u8; 64];
}

/// What signs the events of an open store: nothing, until the keychain is open.
#[derive(Clone, Default)]
pub struct Signer(Arc<OnceLock<Arc<dyn SignEvents>>>);

impl Signer {
    /// From here on every event is signed. A second signer is ignored: a store has one key.
    pub fn begin(&self, signs: Arc<dyn SignEvents>) {
        drop(self.0.set(signs));
    }

    /// The signature of an event, if something signs. Only then is the root of the log before it
    /// computed.
    pub fn sign(&self, leaf: &[u8; 32], before: impl FnOnce() -> [u8; 32]) -> Option<[u8; 64]> {
        self.0.get().map(|signs| signs.sign(leaf, &before()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("signs", &self.0.get().is_some()).finish()
    }
}

use crate::id::KeyId;
use crate::key_ring::{KeyOnly, KeyRing, KeyRingError, KeyRingEvent};

/// Makes a key usable again. It does not regain the defaults that it had.
#[derive(Clone, Debug)]
pub struct ActivateKey {
    /// The key.
    pub key: KeyId,
    /// The version that the caller expects; `None` for any.
    pub expected: Option<u64>,
}

impl ActivateKey {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        let key = ring.key_at(self.key, self.expected)?;
        Ok(if key.is_active {
            Vec::new()
        } else {
            vec![KeyRingEvent::KeyActivated(KeyOnly { key: self.key })]
        })
    }
}

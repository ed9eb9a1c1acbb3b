use crate::id::KeyId;
use crate::key_ring::{KeyOnly, KeyRing, KeyRingError, KeyRingEvent};

/// Lets a key be used again. It doesn't get back the defaults it had.
#[derive(Clone, Debug)]
pub struct ActivateKey {
    /// The key.
    pub key: KeyId,
    /// The version the caller saw.
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

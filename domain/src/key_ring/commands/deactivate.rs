use super::defaults::clear_defaults_of;
use crate::id::KeyId;
use crate::key_ring::{ClearReason, KeyOnly, KeyRing, KeyRingError, KeyRingEvent};

/// Makes a key unusable; it loses its defaults in the same commit.
#[derive(Clone, Debug)]
pub struct DeactivateKey {
    /// The key.
    pub key: KeyId,
    /// The version that the caller expects; `None` for any.
    pub expected: Option<u64>,
}

impl DeactivateKey {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        let key = ring.key_at(self.key, self.expected)?;
        if !key.is_active {
            return Ok(Vec::new());
        }
        let mut events: Vec<_> =
            clear_defaults_of(ring, self.key, ClearReason::Deactivated).collect();
        events.push(KeyRingEvent::KeyDeactivated(KeyOnly { key: self.key }));
        Ok(events)
    }
}

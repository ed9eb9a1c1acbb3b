use super::defaults::clear_defaults_of;
use crate::id::KeyId;
use crate::key_ring::{ClearReason, KeyOnly, KeyRing, KeyRingError, KeyRingEvent};

/// Deletes a key; its secret is shredded in the same commit.
#[derive(Clone, Debug)]
pub struct DeleteKey {
    /// The key.
    pub key: KeyId,
    /// The version that the caller expects; `None` for any.
    pub expected: Option<u64>,
}

impl DeleteKey {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        ring.key_at(self.key, self.expected)?;
        let mut events: Vec<_> = clear_defaults_of(ring, self.key, ClearReason::Deleted).collect();
        events.push(KeyRingEvent::KeyDeleted(KeyOnly { key: self.key }));
        Ok(events)
    }
}

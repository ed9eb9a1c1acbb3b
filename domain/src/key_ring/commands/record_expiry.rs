use super::defaults::clear_defaults_of;
use crate::id::KeyId;
use crate::key_ring::{ClearReason, Expired, KeyRing, KeyRingEvent};
use crate::timestamp::Timestamp;

/// Records once that a key has expired; sent by a timer. Expiry is checked at each use, so a late
/// timer does not make an expired key usable.
#[derive(Clone, Debug)]
pub struct RecordExpiry {
    /// The key.
    pub key: KeyId,
    /// The current time.
    pub now: Timestamp,
}

impl RecordExpiry {
    pub(super) fn decide(self, ring: &KeyRing) -> Vec<KeyRingEvent> {
        let due = ring
            .keys
            .get(&self.key)
            .filter(|key| key.is_expired(self.now) && !key.expiry_recorded)
            .and_then(|key| key.expires_at);
        let Some(expires_at) = due else { return Vec::new() };
        let mut events: Vec<_> = clear_defaults_of(ring, self.key, ClearReason::Expired).collect();
        events.push(KeyRingEvent::KeyExpired(Expired { key: self.key, expires_at }));
        events
    }
}

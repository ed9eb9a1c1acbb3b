use crate::id::KeyId;
use crate::key_ring::{ExpirySet, KeyRing, KeyRingError, KeyRingEvent};
use crate::timestamp::Timestamp;

/// Sets when a key expires. A later expiry makes an expired key usable again, without the defaults
/// that it had.
#[derive(Clone, Debug)]
pub struct SetExpiry {
    /// The key.
    pub key: KeyId,
    /// The new expiry; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// The version that the caller expects; `None` for any.
    pub expected: Option<u64>,
    /// The current time.
    pub now: Timestamp,
}

impl SetExpiry {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        let key = ring.key_at(self.key, self.expected)?;
        if key.expires_at == self.expires_at {
            return Ok(Vec::new());
        }
        if let Some(at) = self.expires_at.filter(|at| *at <= self.now) {
            return Err(KeyRingError::ExpiryInPast { at });
        }
        let mut events: Vec<_> = super::RecordExpiry { key: self.key, now: self.now }.decide(ring);
        events.push(KeyRingEvent::KeyExpirySet(ExpirySet {
            key: self.key,
            expires_at: self.expires_at,
        }));
        Ok(events)
    }
}

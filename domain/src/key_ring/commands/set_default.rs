use crate::id::{ContextTag, KeyId};
use crate::key_ring::{InContext, KeyRing, KeyRingError, KeyRingEvent, MadeDefault};
use crate::text::Context;
use crate::timestamp::Timestamp;

/// Makes a key the default of a context, in place of the previous default.
#[derive(Clone, Debug)]
pub struct SetDefault {
    /// The key.
    pub key: KeyId,
    /// The context.
    pub context: Context,
    /// Keyed hash of the context.
    pub context_tag: ContextTag,
    /// The key's version that the caller expects; `None` for any.
    pub expected: Option<u64>,
    /// The current time.
    pub now: Timestamp,
}

impl SetDefault {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        let key = ring.key_at(self.key, self.expected)?;
        if !key.is_active {
            return Err(KeyRingError::Inactive);
        }
        if let Some(at) = key.expires_at.filter(|_| key.is_expired(self.now)) {
            return Err(KeyRingError::Expired { at });
        }
        let previous = ring.defaults.get(&self.context_tag).copied();
        if previous == Some(self.key) {
            return Ok(Vec::new());
        }
        Ok(vec![KeyRingEvent::DefaultSet(
            MadeDefault { key: self.key, context_tag: self.context_tag, previous },
            Some(InContext { context: self.context.into_string() }),
        )])
    }
}

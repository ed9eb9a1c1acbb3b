use crate::id::ContextTag;
use crate::key_ring::{ClearReason, InContext, KeyRing, KeyRingError, KeyRingEvent, NoDefault};
use crate::text::Context;

/// Removes the default of a context.
#[derive(Clone, Debug)]
pub struct ClearDefault {
    /// The context.
    pub context: Context,
    /// Keyed hash of the context.
    pub context_tag: ContextTag,
    /// The version that the caller expects of the current default key; `None` for any.
    pub expected: Option<u64>,
}

impl ClearDefault {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        let Some(key) = ring.defaults.get(&self.context_tag).copied() else {
            return match self.expected {
                Some(expected) => Err(KeyRingError::NoDefaultToCompare { expected }),
                None => Ok(Vec::new()),
            };
        };
        ring.key_at(key, self.expected)?;
        Ok(vec![KeyRingEvent::DefaultCleared(
            NoDefault { key, context_tag: self.context_tag, reason: ClearReason::Requested },
            Some(InContext { context: self.context.into_string() }),
        )])
    }
}

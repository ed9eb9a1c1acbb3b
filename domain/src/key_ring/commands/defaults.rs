//! What several commands do to the defaults of a key.

use crate::id::KeyId;
use crate::key_ring::{ClearReason, KeyRing, KeyRingEvent, NoDefault};

/// A key that becomes unusable loses its defaults in the same commit. No other key takes its place.
pub(super) fn clear_defaults_of(
    ring: &KeyRing,
    key: KeyId,
    reason: ClearReason,
) -> impl Iterator<Item = KeyRingEvent> {
    ring.default_tags(key).map(move |context_tag| {
        KeyRingEvent::DefaultCleared(NoDefault { key, context_tag, reason }, None)
    })
}

use crate::id::{ContextTag, Fingerprint, KeyId};
use crate::key_ring::{Added, InContext, KeyRing, KeyRingError, KeyRingEvent, MadeDefault, Shown};
use crate::text::{Context, KeyName};
use crate::timestamp::Timestamp;

/// Adds a key. The command has the fingerprint and the preview of the secret, never the secret.
#[derive(Clone, Debug)]
pub struct AddKey {
    /// The new key's id.
    pub key: KeyId,
    /// The key's name.
    pub name: KeyName,
    /// The part of the secret that is shown.
    pub preview: String,
    /// Keyed hash of its secret.
    pub fingerprint: Fingerprint,
    /// Whether it becomes the default of the context; `None` for: if the context has no usable
    /// default.
    pub make_default: Option<bool>,
    /// The context.
    pub context: Context,
    /// Keyed hash of the context.
    pub context_tag: ContextTag,
    /// When it expires; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// The current time.
    pub now: Timestamp,
    /// Most keys that a user may have.
    pub max_keys: usize,
}

impl AddKey {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        if ring.keys.contains_key(&self.key) {
            return Err(KeyRingError::IdInUse);
        }
        if let Some(existing) = ring.holder_of(&self.fingerprint) {
            return Err(KeyRingError::Duplicate { existing });
        }
        if ring.keys.len() >= self.max_keys {
            return Err(KeyRingError::TooMany { max: self.max_keys });
        }
        if let Some(at) = self.expires_at.filter(|at| *at <= self.now) {
            return Err(KeyRingError::ExpiryInPast { at });
        }
        let previous = ring.defaults.get(&self.context_tag).copied();
        let mut events = vec![KeyRingEvent::KeyAdded(
            Added {
                key: self.key,
                fingerprint: self.fingerprint,
                secret_version: 1,
                expires_at: self.expires_at,
            },
            Some(Shown { name: self.name.into_string(), preview: self.preview }),
        )];
        // An expired default is not usable, even if the timer has not recorded its expiry yet.
        let has_usable = previous
            .and_then(|key| ring.keys.get(&key))
            .is_some_and(|key| !key.is_expired(self.now));
        if self.make_default.unwrap_or(!has_usable) {
            events.push(KeyRingEvent::DefaultSet(
                MadeDefault { key: self.key, context_tag: self.context_tag, previous },
                Some(InContext { context: self.context.into_string() }),
            ));
        }
        Ok(events)
    }
}

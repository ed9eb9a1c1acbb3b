use super::{ActivateKey, ClearDefault, DeactivateKey, RenameKey, SetDefault};
use crate::id::{ContextTag, KeyId};
use crate::key_ring::{KeyRing, KeyRingError, KeyRingEvent};
use crate::text::{Context, KeyName};
use crate::timestamp::Timestamp;
use cqrs_es::Aggregate as _;

/// Several changes of a key in one commit: all of them, or none.
#[derive(Clone, Debug)]
pub struct ChangeKey {
    /// The key.
    pub key: KeyId,
    /// Its new name; `None` to leave it.
    pub name: Option<KeyName>,
    /// Whether it may be used; `None` to leave it.
    pub is_active: Option<bool>,
    /// Whether it is the default of the context; `None` to leave it.
    pub is_default: Option<bool>,
    /// The context.
    pub context: Context,
    /// Keyed hash of the context.
    pub context_tag: ContextTag,
    /// The key's version that the caller expects; `None` for any.
    pub expected: Option<u64>,
    /// The current time.
    pub now: Timestamp,
}

impl ChangeKey {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        let Self { key, context, context_tag, now, .. } = self;
        ring.key_at(key, self.expected)?;
        let (mut ring, mut events, expected) = (ring.clone(), Vec::new(), None);
        let mut take = |ring: &mut KeyRing, decided: Vec<KeyRingEvent>| {
            for event in decided {
                ring.apply(event.clone());
                events.push(event);
            }
        };
        if let Some(name) = self.name {
            let decided = RenameKey { key, name, expected }.decide(&ring)?;
            take(&mut ring, decided);
        }
        if let Some(is_active) = self.is_active {
            let decided = if is_active {
                ActivateKey { key, expected }.decide(&ring)?
            } else {
                DeactivateKey { key, expected }.decide(&ring)?
            };
            take(&mut ring, decided);
        }
        let is_default = ring.defaults.get(&context_tag) == Some(&key);
        let decided = match self.is_default {
            Some(true) => SetDefault { key, context, context_tag, expected, now }.decide(&ring)?,
            Some(false) if is_default => {
                ClearDefault { context, context_tag, expected }.decide(&ring)?
            }
            Some(false) | None => Vec::new(),
        };
        take(&mut ring, decided);
        Ok(events)
    }
}

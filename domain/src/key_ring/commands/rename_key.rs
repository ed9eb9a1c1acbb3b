use crate::id::KeyId;
use crate::key_ring::{KeyOnly, KeyRing, KeyRingError, KeyRingEvent, Named};
use crate::text::KeyName;

/// Renames a key.
#[derive(Clone, Debug)]
pub struct RenameKey {
    /// The key.
    pub key: KeyId,
    /// The new name.
    pub name: KeyName,
    /// The version that the caller expects; `None` for any.
    pub expected: Option<u64>,
}

impl RenameKey {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        ring.key_at(self.key, self.expected)?;
        let name = self.name.into_string();
        Ok(vec![KeyRingEvent::KeyRenamed(KeyOnly { key: self.key }, Some(Named { name }))])
    }
}

use crate::id::KeyId;
use crate::key_ring::{KeyOnly, KeyRing, KeyRingError, KeyRingEvent, Named};
use crate::text::KeyName;

/// Gives a key another name.
#[derive(Clone, Debug)]
pub struct RenameKey {
    /// The key.
    pub key: KeyId,
    /// Its new name.
    pub name: KeyName,
    /// The version the caller saw.
    pub expected: Option<u64>,
}

impl RenameKey {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        ring.key_at(self.key, self.expected)?;
        let name = self.name.into_string();
        Ok(vec![KeyRingEvent::KeyRenamed(KeyOnly { key: self.key }, Some(Named { name }))])
    }
}

use crate::id::{Fingerprint, KeyId};
use crate::key_ring::{KeyRing, KeyRingError, KeyRingEvent, Previewed, SecretReplaced};

/// Gives a key another secret under the same id. Calls under way finish with the old one.
#[derive(Clone, Debug)]
pub struct ReplaceSecret {
    /// The key.
    pub key: KeyId,
    /// Keyed hash of the new secret.
    pub fingerprint: Fingerprint,
    /// Hint of the new secret.
    pub preview: String,
    /// The version the caller saw.
    pub expected: Option<u64>,
}

impl ReplaceSecret {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        let key = ring.key_at(self.key, self.expected)?;
        match ring.holder_of(&self.fingerprint) {
            Some(existing) if existing != self.key => {
                return Err(KeyRingError::Duplicate { existing });
            }
            Some(_) => return Ok(Vec::new()),
            None => {}
        }
        let secret_version = key.secret_version + 1;
        Ok(vec![KeyRingEvent::KeySecretReplaced(
            SecretReplaced { key: self.key, secret_version, fingerprint: self.fingerprint },
            Some(Previewed { preview: self.preview }),
        )])
    }
}

use crate::id::{Fingerprint, KeyId};
use crate::key_ring::{KeyRing, KeyRingError, KeyRingEvent, Previewed, SecretReplaced};

/// Replaces the secret of a key, which keeps its id. Calls under way finish with the old secret.
#[derive(Clone, Debug)]
pub struct ReplaceSecret {
    /// The key.
    pub key: KeyId,
    /// Keyed hash of the new secret.
    pub fingerprint: Fingerprint,
    /// The part of the new secret that is shown.
    pub preview: String,
    /// The version that the caller expects; `None` for any.
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

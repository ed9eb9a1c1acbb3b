use crate::id::{KeyId, TestId};
use crate::key_ring::{KeyRing, KeyRingError, KeyRingEvent, TestStarted};
use crate::key_test::KeyTestLevel;
use crate::text::ModelId;

/// Begins a test. Works on inactive and expired keys too: that is how one finds out whether to bring them back.
#[derive(Clone, Debug)]
pub struct StartKeyTest {
    /// The key.
    pub key: KeyId,
    /// The test.
    pub test: TestId,
    /// How far it goes.
    pub level: KeyTestLevel,
    /// The model it is tried with.
    pub model: Option<ModelId>,
    /// After this long whoever ran it is taken for crashed.
    pub timeout_ms: u64,
}

impl StartKeyTest {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        let key = ring.key(self.key)?;
        // It would take the place of the test that has the id, which nobody could close then.
        if ring.open_tests.contains_key(&self.test) {
            return Err(KeyRingError::IdInUse);
        }
        Ok(vec![KeyRingEvent::KeyTestStarted(TestStarted {
            key: self.key,
            test: self.test,
            level: self.level,
            model: self.model.map(|model| model.as_str().to_owned()),
            secret_version: key.secret_version,
            timeout_ms: self.timeout_ms,
        })])
    }
}

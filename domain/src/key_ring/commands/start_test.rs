use crate::id::{KeyId, TestId};
use crate::key_ring::{KeyRing, KeyRingError, KeyRingEvent, TestStarted};
use crate::key_test::KeyTestLevel;
use crate::text::ModelId;

/// Starts a test. Inactive and expired keys can be tested too, so that users can decide whether to
/// reactivate them.
#[derive(Clone, Debug)]
pub struct StartKeyTest {
    /// The key.
    pub key: KeyId,
    /// Id of the new test.
    pub test: TestId,
    /// What the test covers.
    pub level: KeyTestLevel,
    /// The model to call, if one is named.
    pub model: Option<ModelId>,
    /// Milliseconds after which the process that runs the test counts as crashed.
    pub timeout_ms: u64,
}

impl StartKeyTest {
    pub(super) fn decide(self, ring: &KeyRing) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        let key = ring.key(self.key)?;
        // It would replace the open test with this id, which then could never be closed.
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

use crate::id::TestId;
use crate::key_ring::{KeyRing, KeyRingEvent, OpenTest, Tested};
use crate::key_test::{KeyTestNotes, KeyVerdict};

/// Ends a test. A test that was closed meanwhile remains as it is. A test whose key was deleted
/// meanwhile is closed too, so that those who wait for it get a result.
#[derive(Clone, Debug)]
pub struct FinishKeyTest {
    /// The test.
    pub test: TestId,
    /// The result.
    pub verdict: KeyVerdict,
    /// Texts that explain the result.
    pub notes: KeyTestNotes,
}

impl FinishKeyTest {
    pub(super) fn decide(self, ring: &KeyRing) -> Vec<KeyRingEvent> {
        let Some(OpenTest { key, secret_version, level, model }) =
            ring.open_tests.get(&self.test).cloned()
        else {
            return Vec::new();
        };
        let facts =
            Tested { key, test: self.test, level, model, secret_version, verdict: self.verdict };
        vec![KeyRingEvent::KeyTested(facts, Some(self.notes))]
    }
}

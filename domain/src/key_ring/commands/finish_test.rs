use crate::id::{KeyId, TestId};
use crate::key_ring::{KeyRing, KeyRingEvent, Tested};
use crate::key_test::{KeyTestLevel, KeyTestNotes, KeyVerdict};
use crate::text::ModelId;

/// Ends a test. A test that was closed meanwhile stays as it is; one whose key was deleted meanwhile is closed all the same, so that
/// whoever waits for it gets an answer.
#[derive(Clone, Debug)]
pub struct FinishKeyTest {
    /// The key.
    pub key: KeyId,
    /// The test.
    pub test: TestId,
    /// How far it went.
    pub level: KeyTestLevel,
    /// The model it was tried with.
    pub model: Option<ModelId>,
    /// What it showed.
    pub verdict: KeyVerdict,
    /// The words around it.
    pub notes: KeyTestNotes,
}

impl FinishKeyTest {
    pub(super) fn decide(self, ring: &KeyRing) -> Vec<KeyRingEvent> {
        let Some(open) = ring.open_tests.get(&self.test).filter(|open| open.key == self.key) else { return Vec::new() };
        let secret_version = open.secret_version;
        let model = self.model.map(|model| model.as_str().to_owned());
        let facts = Tested { key: self.key, test: self.test, level: self.level, model, secret_version, verdict: self.verdict };
        vec![KeyRingEvent::KeyTested(facts, Some(self.notes))]
    }
}

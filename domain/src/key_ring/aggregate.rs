//! The state by which commands are decided: facts only, so it can be folded after erasure too.

use super::commands::KeyRingCommand;
use super::error::KeyRingError;
use super::event::{KeyRingEvent, TestStarted};
use crate::id::{ContextTag, Fingerprint, KeyId, TestId};
use crate::key_test::KeyTestLevel;
use crate::timestamp::Timestamp;
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One key, as commands see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Not deactivated.
    pub is_active: bool,
    /// Version of its secret, from 1.
    pub secret_version: u32,
    /// Keyed hash of its secret.
    pub fingerprint: Fingerprint,
    /// Stream version of the last change of name, state, default, expiry or secret.
    pub version: u64,
    /// When it expires; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// `KeyExpired` was recorded for this expiry.
    pub expiry_recorded: bool,
}

/// A test under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTest {
    /// The key, which may be deleted before the test ends.
    pub key: KeyId,
    /// The version of the secret under test.
    pub secret_version: u32,
    /// What the test covers.
    pub level: KeyTestLevel,
    /// The model that is called, if one was named.
    pub model: Option<String>,
}

impl Key {
    /// Whether it has expired at `now`; decided at each use.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// All keys of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRing {
    /// Version of the stream.
    pub version: u64,
    /// The keys that are not deleted.
    pub keys: BTreeMap<KeyId, Key>,
    /// The default key of each context.
    pub defaults: BTreeMap<ContextTag, KeyId>,
    /// Tests under way.
    pub open_tests: BTreeMap<TestId, OpenTest>,
}

impl KeyRing {
    /// The key with this id. Unknown keys and those of other users get the same error.
    pub(crate) fn key(&self, id: KeyId) -> Result<&Key, KeyRingError> {
        self.keys.get(&id).ok_or(KeyRingError::NotFound)
    }

    /// The key with this id, refused if its version is not the expected one.
    pub(crate) fn key_at(&self, id: KeyId, expected: Option<u64>) -> Result<&Key, KeyRingError> {
        let key = self.key(id)?;
        match expected {
            Some(expected) if expected != key.version => {
                Err(KeyRingError::VersionMismatch { expected, actual: key.version })
            }
            _ => Ok(key),
        }
    }

    /// The contexts whose default the key is.
    pub fn default_tags(&self, id: KeyId) -> impl Iterator<Item = ContextTag> {
        self.defaults.iter().filter(move |(_, key)| **key == id).map(|(tag, _)| *tag)
    }

    /// The key with this secret.
    pub fn holder_of(&self, fingerprint: &Fingerprint) -> Option<KeyId> {
        self.keys.iter().find(|(_, key)| key.fingerprint == *fingerprint).map(|(id, _)| *id)
    }

    /// Changes a key, and sets its version to the stream's.
    fn touch(&mut self, id: KeyId, change: impl FnOnce(&mut Key)) {
        let version = self.version;
        if let Some(key) = self.keys.get_mut(&id) {
            key.version = version;
            change(key);
        }
    }
}

impl Aggregate for KeyRing {
    const TYPE: &'static str = "key-ring";
    type Command = KeyRingCommand;
    type Event = KeyRingEvent;
    type Error = KeyRingError;
    type Services = ();

    async fn handle(
        &mut self,
        command: KeyRingCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), KeyRingError> {
        for event in command.decide(self)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: KeyRingEvent) {
        self.version += 1;
        let version = self.version;
        match event {
            KeyRingEvent::KeyAdded(facts, _) => {
                self.keys.insert(
                    facts.key,
                    Key {
                        is_active: true,
                        secret_version: facts.secret_version,
                        fingerprint: facts.fingerprint,
                        version,
                        expires_at: facts.expires_at,
                        expiry_recorded: false,
                    },
                );
            }
            KeyRingEvent::KeyRenamed(facts, _) => self.touch(facts.key, |_| {}),
            KeyRingEvent::KeyTestStarted(facts) => {
                let TestStarted { key, test, level, model, secret_version, .. } = facts;
                self.open_tests.insert(test, OpenTest { key, secret_version, level, model });
            }
            KeyRingEvent::KeyTested(facts, _) => {
                self.open_tests.remove(&facts.test);
            }
            KeyRingEvent::DefaultSet(facts, _) => {
                if let Some(previous) = self.defaults.insert(facts.context_tag, facts.key) {
                    self.touch(previous, |_| {});
                }
                self.touch(facts.key, |_| {});
            }
            KeyRingEvent::DefaultCleared(facts, _) => {
                self.defaults.remove(&facts.context_tag);
                self.touch(facts.key, |_| {});
            }
            KeyRingEvent::KeyActivated(facts) => self.touch(facts.key, |key| key.is_active = true),
            KeyRingEvent::KeyDeactivated(facts) => {
                self.touch(facts.key, |key| key.is_active = false);
            }
            KeyRingEvent::KeySecretReplaced(facts, _) => self.touch(facts.key, |key| {
                key.secret_version = facts.secret_version;
                key.fingerprint = facts.fingerprint;
            }),
            KeyRingEvent::KeyExpirySet(facts) => self.touch(facts.key, |key| {
                key.expires_at = facts.expires_at;
                key.expiry_recorded = false;
            }),
            KeyRingEvent::KeyExpired(facts) => {
                self.touch(facts.key, |key| key.expiry_recorded = true);
            }
            KeyRingEvent::KeyDeleted(facts) => {
                self.keys.remove(&facts.key);
            }
        }
    }
}

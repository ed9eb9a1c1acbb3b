//! Folds events into rows.

use super::view::{KeyContent, KeyFacts, KeyView, TestFacts};
use crate::ports::Placed;
use claviger_domain::id::{ContextTag, KeyId};
use claviger_domain::key_ring::{InContext, KeyRingEvent, MadeDefault, Tested};
use claviger_domain::key_test::KeyTestNotes;
use std::collections::{BTreeMap, BTreeSet};

/// The keys of one user, and which of them changed since [`KeysView::take_changed`] was last
/// called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysView {
    keys: BTreeMap<KeyId, KeyView>,
    changed: BTreeSet<KeyId>,
}

impl KeysView {
    /// Starts with stored rows.
    pub fn of(rows: impl IntoIterator<Item = KeyView>) -> Self {
        Self { keys: rows.into_iter().map(|key| (key.id, key)).collect(), changed: BTreeSet::new() }
    }

    /// The keys in their current state.
    pub fn keys(&self) -> &BTreeMap<KeyId, KeyView> {
        &self.keys
    }

    /// The keys whose rows must be written, or removed if [`KeysView::keys`] no longer has them.
    pub fn take_changed(&mut self) -> BTreeSet<KeyId> {
        std::mem::take(&mut self.changed)
    }

    /// All defaults: context tag to key.
    pub fn defaults(&self) -> BTreeMap<ContextTag, KeyId> {
        self.keys
            .values()
            .flat_map(|key| key.facts.default_tags.iter().map(|tag| (*tag, key.id)))
            .collect()
    }

    fn change(&mut self, id: KeyId, change: impl FnOnce(&mut KeyView)) {
        if let Some(key) = self.keys.get_mut(&id) {
            change(key);
            self.changed.insert(id);
        }
    }

    /// A change that updates the key's version.
    fn raise(&mut self, id: KeyId, placed: &Placed, change: impl FnOnce(&mut KeyView)) {
        self.change(id, |key| {
            key.facts.version = placed.version;
            key.facts.updated_at = placed.at;
            change(key);
        });
    }

    /// Applies one event. `placed` is its place in the stream.
    pub fn apply(&mut self, event: &KeyRingEvent, placed: &Placed) {
        match event {
            KeyRingEvent::KeyAdded(facts, content) => {
                let row = KeyView {
                    id: facts.key,
                    facts: KeyFacts {
                        is_active: true,
                        secret_version: facts.secret_version,
                        version: placed.version,
                        created_at: placed.at,
                        updated_at: placed.at,
                        expires_at: facts.expires_at,
                        default_tags: BTreeSet::new(),
                        last_test: None,
                    },
                    content: content.as_ref().map(|content| KeyContent {
                        name: content.name.clone(),
                        preview: content.preview.clone(),
                        ..KeyContent::default()
                    }),
                };
                self.keys.insert(facts.key, row);
                self.changed.insert(facts.key);
            }
            KeyRingEvent::KeyRenamed(facts, content) => self.raise(facts.key, placed, |key| {
                if let (Some(row), Some(content)) = (&mut key.content, content) {
                    row.name.clone_from(&content.name);
                }
            }),
            KeyRingEvent::KeyTestStarted(_) => {}
            KeyRingEvent::KeyTested(facts, notes) => self.tested(facts, notes.as_ref(), placed),
            KeyRingEvent::DefaultSet(facts, content) => {
                self.default_set(facts, content.as_ref(), placed);
            }
            KeyRingEvent::DefaultCleared(facts, _) => {
                self.raise(facts.key, placed, |key| forget(key, facts.context_tag));
            }
            KeyRingEvent::KeyActivated(facts) => {
                self.raise(facts.key, placed, |key| key.facts.is_active = true);
            }
            KeyRingEvent::KeyDeactivated(facts) => {
                self.raise(facts.key, placed, |key| key.facts.is_active = false);
            }
            KeyRingEvent::KeySecretReplaced(facts, content) => {
                self.raise(facts.key, placed, |key| {
                    key.facts.secret_version = facts.secret_version;
                    key.facts.last_test = None;
                    if let Some(row) = &mut key.content {
                        row.test_notes = None;
                        if let Some(content) = content {
                            row.preview.clone_from(&content.preview);
                        }
                    }
                });
            }
            KeyRingEvent::KeyExpirySet(facts) => {
                self.raise(facts.key, placed, |key| key.facts.expires_at = facts.expires_at);
            }
            KeyRingEvent::KeyExpired(facts) => self.raise(facts.key, placed, |_| {}),
            KeyRingEvent::KeyDeleted(facts) => {
                self.keys.remove(&facts.key);
                self.changed.insert(facts.key);
            }
        }
    }

    /// A verdict on a secret that has since been replaced does not change the key.
    fn tested(&mut self, facts: &Tested, notes: Option<&KeyTestNotes>, placed: &Placed) {
        self.change(facts.key, |key| {
            if key.facts.secret_version != facts.secret_version {
                return;
            }
            key.facts.last_test = Some(TestFacts {
                at: placed.at,
                level: facts.level,
                model: facts.model.clone(),
                verdict: facts.verdict.clone(),
            });
            if let Some(row) = &mut key.content {
                row.test_notes = notes.cloned();
            }
        });
    }

    fn default_set(&mut self, facts: &MadeDefault, content: Option<&InContext>, placed: &Placed) {
        if let Some(previous) = facts.previous {
            self.raise(previous, placed, |key| forget(key, facts.context_tag));
        }
        self.raise(facts.key, placed, |key| {
            key.facts.default_tags.insert(facts.context_tag);
            if let (Some(row), Some(content)) = (&mut key.content, content) {
                row.default_for.insert(facts.context_tag, content.context.clone());
            }
        });
    }
}

fn forget(key: &mut KeyView, tag: ContextTag) {
    key.facts.default_tags.remove(&tag);
    if let Some(row) = &mut key.content {
        row.default_for.remove(&tag);
    }
}

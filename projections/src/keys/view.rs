//! A row of the keys view: facts in clear text, content sealed under the key ring's content key.

use claviger_domain::id::{ContextTag, KeyId};
use claviger_domain::key_test::{KeyTestLevel, KeyTestNotes, KeyVerdict};
use claviger_domain::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One key, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// Id of the key.
    pub id: KeyId,
    /// The part that is stored in clear text.
    pub facts: KeyFacts,
    /// The part that is stored sealed; `None` once erased.
    pub content: Option<KeyContent>,
}

/// The part of a key's row that holds nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFacts {
    /// Whether the key may be used.
    pub is_active: bool,
    /// Version of the current secret, from 1.
    pub secret_version: u32,
    /// Stream version of the last change of name, state, default, expiry or secret.
    pub version: u64,
    /// When the key was added.
    pub created_at: Timestamp,
    /// When `version` last changed.
    pub updated_at: Timestamp,
    /// When the key expires; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// Tags of the contexts whose default the key is.
    pub default_tags: BTreeSet<ContextTag>,
    /// The last test of the current secret.
    pub last_test: Option<TestFacts>,
}

/// The result of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFacts {
    /// When the test ended.
    pub at: Timestamp,
    /// How far the test went.
    pub level: KeyTestLevel,
    /// The model that the test used, if any.
    pub model: Option<String>,
    /// The verdict of the test.
    pub verdict: KeyVerdict,
}

/// The personal part of a key's row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyContent {
    /// The owner's name for the key.
    pub name: String,
    /// For example `sk-ant-api03-R2D...igAA`.
    pub preview: String,
    /// The contexts whose default the key is, in clear text.
    pub default_for: BTreeMap<ContextTag, String>,
    /// The texts of the last test.
    pub test_notes: Option<KeyTestNotes>,
}

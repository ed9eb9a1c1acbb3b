//! A row of the view: facts in clear, content sealed under the key ring's content key.

use claviger_domain::id::{ContextTag, KeyId};
use claviger_domain::key_test::{KeyTestLevel, KeyTestNotes, KeyVerdict};
use claviger_domain::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One key, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// Its id.
    pub id: KeyId,
    /// The part that is stored in clear.
    pub facts: KeyFacts,
    /// The part that is stored sealed; `None` once erased.
    pub content: Option<KeyContent>,
}

/// The part of a key's row that holds nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFacts {
    /// May it be used?
    pub is_active: bool,
    /// Version of its secret.
    pub secret_version: u32,
    /// Stream version of the last change of name, state, default, expiry or secret.
    pub version: u64,
    /// When it came in.
    pub created_at: Timestamp,
    /// When `version` last rose.
    pub updated_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// The contexts it is the default of.
    pub default_tags: BTreeSet<ContextTag>,
    /// The last test of its present secret.
    pub last_test: Option<TestFacts>,
}

/// A test's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFacts {
    /// When it ended.
    pub at: Timestamp,
    /// How far it went.
    pub level: KeyTestLevel,
    /// The model it was tried with.
    pub model: Option<String>,
    /// What it showed.
    pub verdict: KeyVerdict,
}

/// The personal part of a key's row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyContent {
    /// What its owner calls it.
    pub name: String,
    /// For example `sk-ant-api03-R2D...igAA`.
    pub preview: String,
    /// The contexts it is the default of, in clear.
    pub default_for: BTreeMap<ContextTag, String>,
    /// The words around the last test.
    pub test_notes: Option<KeyTestNotes>,
}

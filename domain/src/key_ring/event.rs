//! What happens to keys. Facts are readable to auditors; content is sealed for the owner.

use crate::event::{events, facts};
use crate::id::{ContextTag, Fingerprint, KeyId, TestId};
use crate::key_test::{KeyTestLevel, KeyTestNotes, KeyVerdict};
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a default was cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClearReason {
    /// Somebody asked.
    Requested,
    /// The key was deactivated.
    Deactivated,
    /// The key expired.
    Expired,
    /// The key was deleted.
    Deleted,
}

facts! {
    about key: KeyId = "The key.";

    /// The key alone says it all.
    KeyOnly {}
    /// A key came in.
    Added {
        /// Tells duplicates of this user apart.
        fingerprint: Fingerprint,
        /// 1.
        secret_version: u32,
        /// When it will expire.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    }
    /// A test begins: committed before the secret is opened.
    TestStarted {
        /// The test.
        test: TestId,
        /// How far it goes.
        level: KeyTestLevel,
        /// The model it is tried with; `AUTHENTIC` needs none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// Which version of the secret will be opened.
        secret_version: u32,
        /// After this long whoever ran it is taken for crashed.
        timeout_ms: u64,
    }
    /// A test ended.
    Tested {
        /// The test.
        test: TestId,
        /// How far it went.
        level: KeyTestLevel,
        /// The model it was tried with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// Which version of the secret was tried: a verdict on a replaced secret says nothing about the new one.
        secret_version: u32,
        /// What it showed.
        verdict: KeyVerdict,
    }
    /// The key became the default of a context.
    MadeDefault {
        /// Keyed hash of the context.
        context_tag: ContextTag,
        /// The default before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<KeyId>,
    }
    /// The key is the default of a context no more, and no other took its place.
    NoDefault {
        /// Keyed hash of the context.
        context_tag: ContextTag,
        /// Why.
        reason: ClearReason,
    }
    /// The key has another secret; the one before is shredded.
    SecretReplaced {
        /// Counts up.
        secret_version: u32,
        /// Tells duplicates of this user apart.
        fingerprint: Fingerprint,
    }
    /// The key will expire at another time, or never.
    ExpirySet {
        /// When; absent for never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    }
    /// The key's time was up.
    Expired {
        /// When it was up.
        expires_at: Timestamp,
    }
}

/// Name and hint of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What its owner calls it.
    pub name: String,
    /// For example `sk-ant-api03-R2D...igAA`.
    pub preview: String,
}

/// A new name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// What its owner calls it.
    pub name: String,
}

/// A new hint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previewed {
    /// For example `sk-ant-api03-R2D...igAA`.
    pub preview: String,
}

/// A context in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InContext {
    /// As its owner wrote it.
    pub context: String,
}

/// [`KeyRenamed`](KeyRingEvent::KeyRenamed) in schema 0, which is never appended: with it tests run every reader over an event of
/// an older schema.
#[derive(Debug, Deserialize)]
struct Relabelled {
    api_key: KeyId,
}

/// The content of schema 0.
#[derive(Debug, Deserialize)]
struct Label {
    label: String,
}

fn renamed_from_0(facts: Relabelled, content: Option<Label>) -> KeyRingEvent {
    let content = content.map(|Label { label }| Named { name: label });
    KeyRingEvent::KeyRenamed(KeyOnly { key: facts.api_key }, content)
}

events! {
    /// What happens to the keys of a user.
    KeyRingEvent {
        /// A key came in.
        KeyAdded = 1 (Added; content: Shown),
        /// It has another name.
        KeyRenamed = 1 (KeyOnly; content: Named) from { 0 => (Relabelled; content: Label) by renamed_from_0 },
        /// A test begins.
        KeyTestStarted = 1 (TestStarted),
        /// A test ended.
        KeyTested = 1 (Tested; content: KeyTestNotes),
        /// It became the default of a context.
        DefaultSet = 1 (MadeDefault; content: InContext),
        /// It is the default of a context no more. The content is there only when a person named the context.
        DefaultCleared = 1 (NoDefault; content: InContext),
        /// It may be used again.
        KeyActivated = 1 (KeyOnly),
        /// It may not be used.
        KeyDeactivated = 1 (KeyOnly),
        /// It has another secret.
        KeySecretReplaced = 1 (SecretReplaced; content: Previewed),
        /// It will expire at another time, or never.
        KeyExpirySet = 1 (ExpirySet),
        /// Its time was up.
        KeyExpired = 1 (Expired),
        /// It is gone, and its secret shredded.
        KeyDeleted = 1 (KeyOnly),
    }
}

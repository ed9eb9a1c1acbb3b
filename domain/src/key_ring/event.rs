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
    /// The user asked for it.
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

    /// No facts beyond the key.
    KeyOnly {}
    /// A key was added.
    Added {
        /// Keyed hash of the secret: equal for equal secrets of this user.
        fingerprint: Fingerprint,
        /// Always 1.
        secret_version: u32,
        /// When it expires; absent for never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    }
    /// A test begins. Committed before the secret is opened.
    TestStarted {
        /// The test.
        test: TestId,
        /// How far the test goes.
        level: KeyTestLevel,
        /// The model that the test calls; absent for `AUTHENTIC`, which calls none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// The version of the secret that will be opened.
        secret_version: u32,
        /// After this long the process that runs the test counts as crashed.
        timeout_ms: u64,
    }
    /// A test ended.
    Tested {
        /// The test.
        test: TestId,
        /// How far the test went.
        level: KeyTestLevel,
        /// The model that the test called; absent where it called none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// The version of the secret that was tested: a verdict on a replaced secret doesn't hold
        /// for the new one.
        secret_version: u32,
        /// What the test showed.
        verdict: KeyVerdict,
    }
    /// The key became the default of a context.
    MadeDefault {
        /// Keyed hash of the context.
        context_tag: ContextTag,
        /// The context's default before; absent where it had none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<KeyId>,
    }
    /// The key is no longer the default of a context, and no other took its place.
    NoDefault {
        /// Keyed hash of the context.
        context_tag: ContextTag,
        /// Why it was cleared.
        reason: ClearReason,
    }
    /// The key has another secret; the previous one is shredded.
    SecretReplaced {
        /// One more than before.
        secret_version: u32,
        /// Keyed hash of the secret: equal for equal secrets of this user.
        fingerprint: Fingerprint,
    }
    /// The key will expire at another time, or never.
    ExpirySet {
        /// When it expires; absent for never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    }
    /// The key expired.
    Expired {
        /// When it expired.
        expires_at: Timestamp,
    }
}

/// Name and preview of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The name that the owner gave it.
    pub name: String,
    /// For example `sk-ant-api03-R2D...igAA`.
    pub preview: String,
}

/// A new name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The name that the owner gave it.
    pub name: String,
}

/// A new preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previewed {
    /// For example `sk-ant-api03-R2D...igAA`.
    pub preview: String,
}

/// A context in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InContext {
    /// As the owner wrote it.
    pub context: String,
}

/// [`KeyRenamed`](KeyRingEvent::KeyRenamed) in schema 0, which is never appended: with it tests run
/// every reader over an event of an older schema.
#[derive(Clone, Copy, Debug, Deserialize)]
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
    /// What happens to the keys of one user.
    KeyRingEvent {
        /// A key was added.
        KeyAdded = 1 (Added; content: Shown),
        /// It was renamed.
        KeyRenamed = 1 (KeyOnly; content: Named) from { 0 => (Relabelled; content: Label) by renamed_from_0 },
        /// A test begins.
        KeyTestStarted = 1 (TestStarted),
        /// A test ended.
        KeyTested = 1 (Tested; content: KeyTestNotes),
        /// It became the default of a context.
        DefaultSet = 1 (MadeDefault; content: InContext),
        /// It is no longer the default of a context. There is content only when the user named the
        /// context.
        DefaultCleared = 1 (NoDefault; content: InContext),
        /// It may be used again.
        KeyActivated = 1 (KeyOnly),
        /// It may not be used until it is activated.
        KeyDeactivated = 1 (KeyOnly),
        /// Its secret was replaced.
        KeySecretReplaced = 1 (SecretReplaced; content: Previewed),
        /// It will expire at another time, or never.
        KeyExpirySet = 1 (ExpirySet),
        /// It expired.
        KeyExpired = 1 (Expired),
        /// It was deleted and its secret shredded.
        KeyDeleted = 1 (KeyOnly),
    }
}

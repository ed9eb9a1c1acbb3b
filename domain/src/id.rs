//! Ids: UUIDs of distinct types, so that a key's id can't be passed where a user's is expected.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

ids! {
    /// A user of the platform.
    UserId,
    /// An Anthropic API key of a user; stays the same when its secret is replaced.
    KeyId,
    /// An event of the log.
    EventId,
    /// A signed-in session: the family of one refresh token.
    SessionId,
    /// A token that a user made for a program.
    ApiTokenId,
    /// One test of a key, from `KeyTestStarted` to `KeyTested`.
    TestId,
    /// An orchestration run.
    RunId,
    /// A step of a run.
    StepId,
    /// A process of ours, from its start to its end.
    BootId,
    /// Ties together all that one request caused. Ours, never taken from a client's header.
    CorrelationId,
}

/// Sixteen bytes that name a command: derived from the idempotency key, or random without one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub [u8; 16]);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandId({self})")
    }
}

/// Writes bytes as lower-case hexadecimal.
///
/// # Errors
/// Only what the formatter itself answers.
pub fn write_hex(f: &mut impl fmt::Write, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! hex_bytes {
    ($($(#[$doc:meta])* $name:ident [$len:literal]),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                read_hex::<$len>(&text)
                    .map(Self)
                    .ok_or_else(|| serde::de::Error::custom(concat!("not ", $len, " bytes of hexadecimal")))
            }
        }
    )+};
}

hex_bytes! {
    /// Keyed hash of a context name: equal contexts of one user have equal tags, and only that
    /// user's index key can make them.
    ContextTag[16],
    /// Keyed hash of a trimmed secret: finds duplicates of one user without the secret.
    Fingerprint[32],
    /// The root of the tree over the first events of the log (`ops/docs/FORMATS.md`, section 2).
    TreeRoot[32],
    /// Names a master key (KEK): derived from the key, and no secret.
    MasterKeyId[8],
}

/// Reads exactly `N` bytes of lower- or upper-case hexadecimal.
pub fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    // `from_str_radix` takes a sign: digits only, or "+f" would be read as 0f.
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

//! What is particular to each event type: its facts, its content, and the versions of its shape.

use serde::Serialize;
use uuid::Uuid;

/// An event type and a version of its shape.
pub type Shape = (&'static str, u32);

/// An event's payload as it is stored: facts for everybody who may read the log, content sealed for
/// its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventParts {
    /// Type name.
    pub kind: &'static str,
    /// Version of the type's shape: always the current one.
    pub schema: u32,
    /// JSON object, serialised once: these bytes are hashed and stored.
    pub facts: Vec<u8>,
    /// JSON object to be sealed; `None` where the event has none, or it was erased.
    pub content: Option<Vec<u8>>,
    /// The key or run that the event is about: a copy for filters.
    pub subject: Option<Uuid>,
}

/// Why stored bytes can't be decoded. Holds no content.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// No such type, or no such schema of it: a newer version wrote it, or another program.
    #[error("unknown event type {kind} schema {schema}")]
    Unknown {
        /// The type found.
        kind: String,
        /// The schema found.
        schema: u32,
    },
    /// The bytes don't fit the type.
    #[error("malformed {part} of event type {kind}")]
    Malformed {
        /// The type.
        kind: String,
        /// `facts` or `content`.
        part: &'static str,
    },
}

/// An event enum: encodes into [`EventParts`] of the current schema, decodes every schema ever
/// written.
pub trait Payload: Sized {
    /// Every type with its current schema: what is written.
    const CURRENT: &'static [Shape];

    /// Every older schema that is still read, and converted to the current one by its upcast
    /// function.
    const OLDER: &'static [Shape];

    /// Encodes facts and content.
    ///
    /// # Errors
    /// [`EventError::Malformed`] if a value can't be written as JSON; all of ours can.
    fn parts(&self) -> Result<EventParts, EventError>;

    /// The key or run that the event is about.
    fn subject(&self) -> Option<Uuid>;

    /// Decodes facts and content of any schema in [`Payload::CURRENT`] or [`Payload::OLDER`].
    /// `content` is `None` once erased, or for readers it doesn't belong to.
    ///
    /// # Errors
    /// [`EventError`], for bytes that [`Payload::parts`] never wrote.
    fn decode(
        kind: &str,
        schema: u32,
        facts: &[u8],
        content: Option<&[u8]>,
    ) -> Result<Self, EventError>;
}

/// Facts of an event.
pub(crate) trait Facts {
    /// The key or run that the event is about.
    fn subject(&self) -> Option<Uuid> {
        None
    }
}

/// Serialises facts or content.
pub(crate) fn to_json<T: Serialize>(
    kind: &'static str,
    part: &'static str,
    value: &T,
) -> Result<Vec<u8>, EventError> {
    serde_json::to_vec(value).map_err(|_| EventError::Malformed { kind: kind.to_owned(), part })
}

/// Deserialises facts or content. Serde would accept an array of the values in place of an object:
/// that is refused.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    kind: &str,
    part: &'static str,
    bytes: &[u8],
) -> Result<T, EventError> {
    let malformed = || EventError::Malformed { kind: kind.to_owned(), part };
    if !bytes.starts_with(b"{") {
        return Err(malformed());
    }
    serde_json::from_slice(bytes).map_err(|_| malformed())
}

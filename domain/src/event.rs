//! What every stored event has in common.

use crate::actor::Actor;
use crate::id::{CommandId, CorrelationId, EventId, UserId};
use crate::stream::StreamName;
use crate::timestamp::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// The two halves of an event, as they are stored: facts for everybody who may read the log, content sealed for its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halves {
    /// Type name.
    pub kind: &'static str,
    /// Version of the type's shape.
    pub schema: u32,
    /// JSON object, serialised once: these bytes are hashed and stored.
    pub facts: Vec<u8>,
    /// JSON object to be sealed; `None` where the event has none, or it was erased.
    pub content: Option<Vec<u8>>,
    /// The key or run the event is about: a copy for filters.
    pub subject: Option<Uuid>,
}

/// Why stored bytes aren't an event we know. Holds no content.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Written by a newer version, or not by us.
    #[error("unknown event type {kind} schema {schema}")]
    Unknown {
        /// The type found.
        kind: String,
        /// The schema found.
        schema: u32,
    },
    /// The bytes don't fit the type.
    #[error("malformed {half} of event type {kind}")]
    Malformed {
        /// The type.
        kind: String,
        /// `facts` or `content`.
        half: &'static str,
    },
}

/// An event type that can be cut into its halves and put together again.
pub trait Halved: Sized {
    /// Cuts into facts and content.
    ///
    /// # Errors
    /// [`EventError::Malformed`] if a value can't be written as JSON, which no event of ours does.
    fn halves(&self) -> Result<Halves, EventError>;

    /// The key or run the event is about.
    fn subject(&self) -> Option<Uuid>;

    /// Puts the halves together. `content` is `None` once erased, or for readers it doesn't belong to.
    ///
    /// # Errors
    /// [`EventError`], for what was not written by [`Halved::halves`].
    fn from_halves(
        kind: &str,
        schema: u32,
        facts: &[u8],
        content: Option<&[u8]>,
    ) -> Result<Self, EventError>;
}

/// Everything about an event but its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Place in the one order: 1, 2, 3 …
    pub position: u64,
    /// The stream.
    pub stream: StreamName,
    /// Whose stream it is; `None` for System.
    pub owner: Option<UserId>,
    /// Place in the stream: 1 … n.
    pub version: u64,
    /// Its id.
    pub id: EventId,
    /// Type name.
    pub kind: String,
    /// Version of the type's shape.
    pub schema: u32,
    /// When; never earlier than the position before.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// The command that caused it.
    pub command_id: CommandId,
    /// The request that caused it.
    pub correlation_id: CorrelationId,
    /// The event that caused it.
    pub causation_id: Option<EventId>,
}

/// Tag of the event format, first field of every leaf.
pub const EVENT_TAG: &str = "claviger/event/1";

impl Envelope {
    /// The bytes that are hashed into the leaf (`FORMATS.md`, section 2), without the leading 0x00.
    /// `content_digest` is the SHA-256 over the sealed boxes, `None` for an event without content.
    pub fn leaf_body(&self, facts: &[u8], content_digest: Option<&[u8; 32]>) -> Vec<u8> {
        let mut body = Fields::with_capacity(facts.len() + 400);
        body.push(EVENT_TAG.as_bytes());
        body.push(&self.position.to_be_bytes());
        body.push(self.stream.to_string().as_bytes());
        body.push_id(self.owner.map(|id| id.0));
        body.push(&self.version.to_be_bytes());
        body.push(self.id.0.as_bytes());
        body.push(self.kind.as_bytes());
        body.push(&u64::from(self.schema).to_be_bytes());
        body.push(&self.at.0.to_be_bytes());
        body.push_id(self.actor.user.map(|id| id.0));
        body.push(self.actor.role.map_or("", |role| role.as_str()).as_bytes());
        body.push(self.actor.via.as_str().as_bytes());
        body.push(&self.command_id.0);
        body.push(self.correlation_id.0.as_bytes());
        body.push_id(self.causation_id.map(|id| id.0));
        body.push(facts);
        match content_digest {
            None => {
                body.push(&[0]);
            }
            Some(digest) => {
                let mut flagged = [1; 33];
                for (byte, from) in flagged.iter_mut().skip(1).zip(digest) {
                    *byte = *from;
                }
                body.push(&flagged);
            }
        }
        body.0
    }
}

/// Length-prefixed fields: the one way in which bytes are put together before they are hashed, signed or sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// Room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds `u32 length ‖ bytes`. A field of 4 GiB can't be built: bodies are bounded long before.
    pub fn push(&mut self, field: &[u8]) -> &mut Self {
        let len = u32::try_from(field.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    /// Adds an id, or the empty field.
    pub fn push_id(&mut self, id: Option<Uuid>) -> &mut Self {
        match id {
            Some(id) => self.push(id.as_bytes()),
            None => self.push(&[]),
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Serialises one half.
pub(crate) fn to_json<T: Serialize>(
    kind: &'static str,
    half: &'static str,
    value: &T,
) -> Result<Vec<u8>, EventError> {
    serde_json::to_vec(value).map_err(|_| EventError::Malformed { kind: kind.to_owned(), half })
}

/// Reads one half. Serde would take an array of the values for an object too: no half of ours is one.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    kind: &str,
    half: &'static str,
    bytes: &[u8],
) -> Result<T, EventError> {
    let malformed = || EventError::Malformed { kind: kind.to_owned(), half };
    if !bytes.starts_with(b"{") {
        return Err(malformed());
    }
    serde_json::from_slice(bytes).map_err(|_| malformed())
}

//! What every stored event has in common, and the bytes of its leaf.

use super::Fields;
use crate::actor::{ActingCredential, Actor};
use crate::id::{CommandId, CorrelationId, EventId, UserId};
use crate::stream::StreamName;
use crate::timestamp::Timestamp;

/// Version of the envelope and with it of the bytes that are hashed. An event keeps the version
/// that it was appended with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EnvelopeVersion {
    /// Names the user, the role and the face.
    #[default]
    V1,
    /// Also names the credential that acted, and knows the faces `console` and `gateway`.
    V2,
}

impl EnvelopeVersion {
    /// Every version, oldest first. All are read.
    pub const ALL: &'static [Self] = &[Self::V1, Self::V2];

    /// The newest version: what is appended once every live process reads it.
    pub const NEWEST: Self = Self::V2;

    /// The number that is stored: 1, 2.
    pub const fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// The version with this number.
    pub fn of_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|version| version.number() == number)
    }

    /// The tag that is the first field of every leaf body.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::V1 => "claviger/event/1",
            Self::V2 => "claviger/event/2",
        }
    }

    /// The actor as an envelope of this version records it. `None` if the version has no word for
    /// the actor's face.
    pub fn record(self, actor: Actor) -> Option<Actor> {
        match self {
            Self::V1 if actor.via.since() > Self::V1 => None,
            Self::V1 => Some(Actor { credential: None, ..actor }),
            Self::V2 => Some(actor),
        }
    }
}

/// Everything about an event but its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Version of this envelope. One of version 1 has no credential and none of the newer faces.
    pub envelope_version: EnvelopeVersion,
    /// Position in the log: 1, 2, 3 … without a gap.
    pub position: u64,
    /// The stream that it belongs to.
    pub stream: StreamName,
    /// The user whose stream it is; `None` for System.
    pub owner: Option<UserId>,
    /// Position in the stream: 1 … n.
    pub version: u64,
    /// Unique in the log.
    pub id: EventId,
    /// Type name.
    pub kind: String,
    /// Version of the type's shape, as stored.
    pub schema: u32,
    /// When it was appended; never earlier than the position before.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The command that caused it.
    pub command_id: CommandId,
    /// The request that caused it.
    pub correlation_id: CorrelationId,
    /// The event that caused it, if one did.
    pub causation_id: Option<EventId>,
}

impl Envelope {
    /// The bytes that are hashed into the leaf (`ops/docs/FORMATS.md`, section 2), without the
    /// leading 0x00. `content_digest` is the SHA-256 over the sealed boxes, `None` for an event
    /// without content.
    pub fn leaf_body(&self, facts: &[u8], content_digest: Option<&[u8; 32]>) -> Vec<u8> {
        let mut body = Fields::with_capacity(facts.len() + 400);
        body.push(self.envelope_version.tag().as_bytes());
        body.push(&self.position.to_be_bytes());
        body.push(self.stream.to_string().as_bytes());
        body.push_id(self.owner.map(|id| id.0));
        body.push(&self.version.to_be_bytes());
        body.push(self.id.0.as_bytes());
        body.push(self.kind.as_bytes());
        body.push(&u64::from(self.schema).to_be_bytes());
        body.push(&self.at.0.to_be_bytes());
        self.push_actor(&mut body);
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
        body.into_bytes()
    }

    fn push_actor(&self, body: &mut Fields) {
        let Actor { user, role, via, credential } = self.actor;
        body.push_id(user.map(|id| id.0));
        body.push(role.map_or("", |role| role.as_str()).as_bytes());
        body.push(via.as_str().as_bytes());
        match self.envelope_version {
            EnvelopeVersion::V1 => {}
            EnvelopeVersion::V2 => {
                body.push(credential.map_or("", ActingCredential::kind).as_bytes());
                body.push_id(credential.and_then(ActingCredential::id));
            }
        }
    }
}

//! The log: appends and reads.

use super::{BoxFuture, KekId, Reliance, RowChange, SignEvents, StoreError, Unmet};
use claviger_domain::actor::Actor;
use claviger_domain::catalogue::{Readable, Requirement};
use claviger_domain::event::{Envelope, EnvelopeVersion};
use claviger_domain::id::{CommandId, CorrelationId, EventId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// The version that a stream must have for an append to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The stream has no event yet.
    NoStream,
    /// Its last event has this version (1 or more).
    Exact(u64),
}

/// An event to be appended. The store assigns position, version, time and leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Unique in the log.
    pub id: EventId,
    /// Type name.
    pub kind: String,
    /// Version of the type's shape.
    pub schema: u32,
    /// JSON bytes, stored verbatim.
    pub facts: Vec<u8>,
    /// Sealed boxes: none, one, or several for long content.
    pub content: Vec<Vec<u8>>,
    /// The key or run that it is about: a filter column.
    pub subject: Option<Uuid>,
}

/// An event as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Everything but the payload.
    pub envelope: Envelope,
    /// JSON bytes, as they were appended.
    pub facts: Vec<u8>,
    /// Sealed boxes, as they were appended.
    pub content: Vec<Vec<u8>>,
    /// The key or run that it is about.
    pub subject: Option<Uuid>,
    /// RFC 6962 leaf hash.
    pub leaf: [u8; 32],
    /// The root of the tree before it, and a MAC of that and the leaf; `None` if nothing signed when
    /// it was appended.
    pub signature: Option<[u8; 64]>,
}

/// The place that the store assigned to an appended event: what inline views need beyond the
/// payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Unique in the log.
    pub id: EventId,
    /// Position in the log.
    pub position: u64,
    /// Position in the stream.
    pub version: u64,
    /// Time of the event.
    pub at: Timestamp,
}

/// What an append writes besides its events, once positions and times are known. Called inside the
/// transaction, and again when the store must repeat the transaction: a function of its input but
/// for nonces.
pub trait InlineViews: Send + Sync {
    /// The rows to write. `placed` is parallel to the append's events.
    ///
    /// # Errors
    /// A reason without values; the append is refused with it and nothing is written.
    fn rows(&self, placed: &[Placed]) -> Result<Vec<RowChange>, StoreError>;
}

/// Unique values: the kind keeps them apart, the keyed hash reveals nothing about the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClaimKind {
    /// A username, unique in the store.
    Username,
    /// An e-mail address, unique in the store.
    Email,
    /// A secret's fingerprint, unique per user because its key is.
    Secret,
    /// An external issuer's user, unique in the store.
    Identity,
}

/// A unique value that is taken or released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimChange {
    /// Take it, or be refused with [`AppendError::ClaimTaken`]. Taking what the same holder and
    /// subject have is no conflict.
    Take {
        /// The kind of the value.
        kind: ClaimKind,
        /// Keyed hash of the value.
        hash: [u8; 32],
        /// The user who takes it.
        holder: UserId,
        /// What it belongs to: a key's id, or the user's own.
        subject: Uuid,
    },
    /// Release it; a no-op if it wasn't taken.
    Release {
        /// The kind of the value.
        kind: ClaimKind,
        /// Keyed hash of the value.
        hash: [u8; 32],
    },
}

/// The record of a command, from which its repeat is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRecord {
    /// The command.
    pub command_id: CommandId,
    /// Keyed hash of its input.
    pub request_hash: [u8; 32],
    /// The user who gave the command.
    pub owner: UserId,
    /// The key or run that it made, changed or deleted.
    pub subject: Option<Uuid>,
    /// Events committed under it so far, in order.
    pub event_ids: Vec<EventId>,
    /// Position of the last of them.
    pub position: u64,
    /// Stream of the last of them.
    pub stream: StreamName,
    /// Version of the last of them.
    pub version: u64,
    /// The command is still running (a key test): a repeat waits.
    pub open: bool,
    /// When the record may be deleted.
    pub expires_at: Timestamp,
}

/// What an append does to command records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordChange {
    /// Insert one under the append's own command id; if it is there already, the append is
    /// [`AppendError::Repeated`]. The store fills in event ids, position, stream and version.
    Insert {
        /// Keyed hash of the input.
        request_hash: [u8; 32],
        /// The key or run that the command was about.
        subject: Option<Uuid>,
        /// Another append will close the record.
        open: bool,
        /// When the record may be deleted.
        expires_at: Timestamp,
    },
    /// Close the open record of this command: its event ids grow by this append's, position and
    /// version become this append's. Nothing happens if there is none.
    Close {
        /// The command that opened it.
        command_id: CommandId,
    },
}

/// One atomic append.
#[derive(Clone)]
pub struct Append {
    /// The stream.
    pub stream: StreamName,
    /// Owner of the stream; the same for all appends to it.
    pub owner: Option<UserId>,
    /// The version that the stream must have.
    pub expected: Expected,
    /// What must still hold besides.
    pub relies_on: Reliance,
    /// At least one event.
    pub events: Vec<NewEvent>,
    /// Time of the command; the events' time is this or the head's, whichever is later.
    pub at: Timestamp,
    /// The actor.
    pub actor: Actor,
    /// The command.
    pub command_id: CommandId,
    /// The request that caused it.
    pub correlation_id: CorrelationId,
    /// The event that caused it, if one did.
    pub causation_id: Option<EventId>,
    /// Rows whose content doesn't depend on where the events end up: sealed keys, secrets,
    /// credentials. What is sealed under a user key is a precondition: its version must be the
    /// owner's newest when the append commits, else [`AppendError::UserKeyMoved`]. Rows of that
    /// kind stand here and not among the inline ones, which may only repeat an owner of these.
    pub rows: Vec<RowChange>,
    /// Unique values to take or release.
    pub claims: Vec<ClaimChange>,
    /// Rows that depend on the events' places: views, timers, sessions.
    pub inline: Option<Arc<dyn InlineViews>>,
    /// The command's record.
    pub record: Option<RecordChange>,
}

impl Append {
    /// What readers of its events must be able to read, beyond what every released program reads.
    /// The envelope's version is the store's choice and not among it.
    pub fn requirements(&self) -> impl Iterator<Item = Requirement> {
        self.events
            .iter()
            .filter(|event| !Readable::by_all(&event.kind, event.schema))
            .map(|event| Requirement::event(&event.kind, event.schema))
    }

    /// The envelope of one of its events at the place that the store gave it: what the leaf is made
    /// of.
    ///
    /// # Errors
    /// [`AppendError::Malformed`] if that version has no word for the actor's face.
    pub fn envelope(
        &self,
        event: &NewEvent,
        placed: Placed,
        envelope_version: EnvelopeVersion,
    ) -> Result<Envelope, AppendError> {
        let actor = envelope_version
            .record(self.actor)
            .ok_or(AppendError::Malformed("an actor that the envelope's version can't name"))?;
        Ok(Envelope {
            envelope_version,
            position: placed.position,
            stream: self.stream,
            owner: self.owner,
            version: placed.version,
            id: event.id,
            kind: event.kind.clone(),
            schema: event.schema,
            at: placed.at,
            actor,
            command_id: self.command_id,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
        })
    }

    /// About how many bytes it writes: what bounds a batch, so that nobody waits for a transaction
    /// of hundreds of megabytes.
    pub fn weight(&self) -> usize {
        let event = |event: &NewEvent| {
            512 + event.facts.len() + event.content.iter().map(Vec::len).sum::<usize>()
        };
        let row = |row: &RowChange| match row {
            RowChange::PutView(row) => {
                256 + row.facts.len() + row.content.as_ref().map_or(0, Vec::len)
            }
            RowChange::PutSecret(row) => 256 + row.sealed.len(),
            RowChange::PutUserKey(_)
            | RowChange::PutIndexKey(_)
            | RowChange::PutContentKey(_)
            | RowChange::DeleteSecret { .. }
            | RowChange::PutCredential(_)
            | RowChange::PutSession(_)
            | RowChange::DeleteSession(_)
            | RowChange::PutTimer(_)
            | RowChange::DeleteTimer { .. }
            | RowChange::DeleteView { .. }
            | RowChange::PutDefault { .. }
            | RowChange::DeleteDefault { .. }
            | RowChange::PutStoreKey(_)
            | RowChange::DeleteStoreKey(_)
            | RowChange::EraseUser(_) => 256,
        };
        let claims = self.claims.len() * size_of::<ClaimChange>();
        self.events.iter().map(event).sum::<usize>()
            + self.rows.iter().map(row).sum::<usize>()
            + claims
    }
}

impl fmt::Debug for Append {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Append")
            .field("stream", &self.stream)
            .field("expected", &self.expected)
            .field("events", &self.events.len())
            .field("command_id", &self.command_id)
            .finish_non_exhaustive()
    }
}

/// A committed append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The place of each event, in the append's order; never empty.
    pub placed: Vec<Placed>,
    /// Position of the last.
    pub position: u64,
    /// Version of the last.
    pub version: u64,
}

/// Why nothing of an append was committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The stream has another version.
    #[error("the stream is at version {actual}")]
    Conflict {
        /// Its version; 0 for no stream.
        actual: u64,
    },
    /// What the decision relied on no longer holds: decide again.
    #[error(transparent)]
    Unmet(Unmet),
    /// A unique value is taken already.
    #[error("a unique value is taken")]
    ClaimTaken {
        /// The kind of the value.
        kind: ClaimKind,
        /// The user who holds it.
        holder: UserId,
        /// What it belongs to.
        subject: Uuid,
    },
    /// The command was committed before: this is its record.
    #[error("the command was committed before")]
    Repeated(Box<CommandRecord>),
    /// A row is sealed under another version of a user key than the owner's newest: a rotation or
    /// an erasure came between. Seal again.
    #[error("the user's key is at version {actual}")]
    UserKeyMoved {
        /// Owner of the key.
        owner: UserId,
        /// Version of the newest; 0 where there is none.
        actual: u32,
    },
    /// A new user key is wrapped by another master key than the store's newest: a rotation has
    /// begun. Wrap again.
    #[error("new user keys go under another master key now")]
    MasterKeyMoved {
        /// The newest master key.
        current: KekId,
    },
    /// A live process can't read what would be appended.
    #[error(
        "{process} can't read {requirement}: stop or upgrade that process, then try again; nothing was changed"
    )]
    NotReadByAll {
        /// What it can't read: an envelope version, or a type and schema.
        requirement: Requirement,
        /// The process, as it names itself.
        process: String,
    },
    /// An append without events, of another owner than the stream's, with an event id that exists:
    /// a fault of the caller.
    #[error("malformed append: {0}")]
    Malformed(&'static str),
    /// The store failed. After [`StoreError::Unavailable`] nothing was committed; otherwise the
    /// event ids show whether it was.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The end of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Position of the last event, 0 for none.
    pub position: u64,
    /// Its time.
    pub at: Timestamp,
    /// Roots of the perfect subtrees, largest first (`ops/docs/FORMATS.md`, section 2).
    pub frontier: Vec<[u8; 32]>,
}

/// The order in which a history is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Newest first.
    #[default]
    Backward,
    /// Oldest first.
    Forward,
}

/// A filter over an owner's events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Only those about this key or run.
    pub subject: Option<Uuid>,
    /// Only these types; empty for all.
    pub kinds: Vec<String>,
    /// Only positions above this.
    pub above: Option<u64>,
    /// Only positions below this.
    pub below: Option<u64>,
}

/// The log.
pub trait Log: Send + Sync {
    /// Appends, all or nothing. Returns when it is durable; a caller that goes away stops nothing.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>>;

    /// From here on every event that this process appends is signed.
    fn sign_with(&self, signs: Arc<dyn SignEvents>);

    /// The end of the log.
    fn head(&self) -> BoxFuture<'_, Result<Head, StoreError>>;

    /// Events with `position > after`, at most `limit`, in order, checked to be consecutive.
    fn read(&self, after: u64, limit: usize)
    -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>>;

    /// Events of a stream with `version > after`, at most `limit`, in order, checked to be
    /// consecutive.
    fn read_stream(
        &self,
        stream: StreamName,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>>;

    /// Events of an owner that pass the filter, at most `limit`, in the direction given.
    fn history(
        &self,
        owner: UserId,
        filter: HistoryFilter,
        direction: Direction,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>>;

    /// The event with this id.
    fn event(&self, id: EventId) -> BoxFuture<'_, Result<Option<StoredEvent>, StoreError>>;

    /// The record of a command.
    fn command_record(
        &self,
        id: CommandId,
    ) -> BoxFuture<'_, Result<Option<CommandRecord>, StoreError>>;

    /// Forgets closed records with `expires_at <= now`; returns how many.
    fn forget_records(&self, now: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// The holder of a unique value, and what it belongs to.
    fn claim(
        &self,
        kind: ClaimKind,
        hash: [u8; 32],
    ) -> BoxFuture<'_, Result<Option<(UserId, Uuid)>, StoreError>>;

    /// The position up to which commits are known in this process: a hint that wakes waiters; truth
    /// is [`Log::read`].
    fn watch(&self) -> tokio::sync::watch::Receiver<u64>;
}

//! What every command has in common: its circumstances and its outcome.

use claviger_domain::actor::Actor;
use claviger_domain::failure::Failure;
use claviger_domain::id::CorrelationId;
use claviger_domain::id::EventId;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_domain::text::IdempotencyKey;
use claviger_projections::ports::BoxFuture;

/// The answer of a port.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// Everything about a command on keys but the command.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose keys.
    pub owner: UserId,
    /// Who, through which door.
    pub actor: Actor,
    /// Because of which request.
    pub correlation: CorrelationId,
    /// Makes a repeat harmless.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// What was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Position of the last event, or the head's where nothing had to be done.
    pub position: u64,
    /// The stream.
    pub stream: StreamName,
    /// Its version.
    pub version: u64,
    /// The events.
    pub event_ids: Vec<EventId>,
    /// This idempotency key had been answered before, and this is that answer.
    pub replayed: bool,
}

//! What every command has in common: its circumstances and its outcome.

use claviger_domain::actor::Actor;
use claviger_domain::failure::Failure;
use claviger_domain::id::CorrelationId;
use claviger_domain::id::EventId;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_domain::text::IdempotencyKey;
use claviger_projections::ports::BoxFuture;

/// The result of a port's method.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// Everything that a command needs besides its own input.
#[derive(Clone, Debug)]
pub struct Call {
    /// The user whose stream the command changes.
    pub owner: UserId,
    /// Who acts, and through which API.
    pub actor: Actor,
    /// The request that caused the command.
    pub correlation: CorrelationId,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// What a command committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Position of the last event, or of the log's head if nothing had to be done.
    pub position: u64,
    /// The stream that was written.
    pub stream: StreamName,
    /// Version of the stream after the commit.
    pub version: u64,
    /// The committed events, in order; empty if nothing had to be done.
    pub event_ids: Vec<EventId>,
    /// Whether this idempotency key was used before and this is the first request's result.
    pub replayed: bool,
}

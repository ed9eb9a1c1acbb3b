//! What every command has in common: its circumstances and its outcome.

use crate::principal::ForeignToken;
use claviger_domain::actor::{Actor, Role};
use claviger_domain::failure::Failure;
use claviger_domain::id::CorrelationId;
use claviger_domain::id::EventId;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_domain::text::IdempotencyKey;
use claviger_projections::ports::BoxFuture;
use std::collections::BTreeSet;

/// The result of a port's method.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// Everything that a command needs besides its own input.
#[derive(Clone, Debug)]
pub struct CommandContext {
    /// The user whose things the command changes.
    pub owner: UserId,
    /// Who acts, by which credential and through which face.
    pub actor: Actor,
    /// The rights of the acting user; empty for timers and the operator.
    pub roles: BTreeSet<Role>,
    /// Present if the acting user came with an external issuer's token.
    pub foreign: Option<ForeignToken>,
    /// The request that caused the command.
    pub correlation: CorrelationId,
    /// Makes a retry safe: a repeat with the same key returns the first commit.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// The kind of a command: limits and metrics go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandKind {
    /// What the command changes.
    pub group: CommandGroup,
    /// The value of the metrics' label, unique among all groups.
    pub name: &'static str,
}

/// The kind of aggregate that a command changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandGroup {
    /// An account and its sessions.
    Account,
    /// A user's keys.
    Key,
    /// A run.
    Run,
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

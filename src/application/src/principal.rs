//! Who acts: the principal of a request, the token they came with, and what the request carries.

use claviger_domain::actor::Role;
use claviger_domain::actor::Via;
use claviger_domain::id::CorrelationId;
use claviger_domain::id::SessionId;
use claviger_domain::id::UserId;
use claviger_domain::timestamp::Timestamp;
use std::collections::BTreeSet;

/// Who asks, once their token and its session were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// The session the token names.
    pub session: SessionId,
    /// What the user may do now.
    pub roles: BTreeSet<Role>,
    /// What an external issuer's token says of itself, if the user came with one.
    pub foreign: Option<ForeignToken>,
}

/// A token that we didn't make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignToken {
    /// When it was made: a session that ended afterwards has ended it.
    pub issued_at: Timestamp,
    /// Until when it is good.
    pub until: Timestamp,
    /// The roles are those that it claims, whatever our account says.
    pub decides_roles: bool,
}

/// What one request carries, whoever asks.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// Ties together all that this request causes.
    pub correlation: CorrelationId,
    /// The client's own words about itself.
    pub user_agent: Option<String>,
    /// Where it comes from: rate limits count by it.
    pub peer: String,
    /// The door.
    pub via: Via,
}

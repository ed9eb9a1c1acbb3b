//! Who acts: the principal of a request, the token they came with, and what the request carries.

use claviger_domain::actor::Role;
use claviger_domain::actor::Via;
use claviger_domain::id::CorrelationId;
use claviger_domain::id::SessionId;
use claviger_domain::id::UserId;
use claviger_domain::timestamp::Timestamp;
use std::collections::BTreeSet;

/// The authenticated caller, after the token and its session were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user who makes the request.
    pub user: UserId,
    /// The session named by the token.
    pub session: SessionId,
    /// The user's current roles.
    pub roles: BTreeSet<Role>,
    /// Present if the user came with an external issuer's token.
    pub foreign: Option<ForeignToken>,
}

/// A token that this server did not issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignToken {
    /// When the token was issued. Ending the session later invalidates the token.
    pub issued_at: Timestamp,
    /// When the token expires.
    pub until: Timestamp,
    /// Whether the roles come from the token's claims instead of the account.
    pub decides_roles: bool,
}

/// Data of one request, whether or not the caller is authenticated.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// Links everything that this request causes.
    pub correlation: CorrelationId,
    /// The client's `User-Agent`, unverified.
    pub user_agent: Option<String>,
    /// The client's address; rate limits count by it.
    pub peer: String,
    /// The API through which the request came.
    pub via: Via,
}

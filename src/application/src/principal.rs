//! Who acts: the principal of a request, the token they came with, and what the request carries.

use claviger_domain::actor::{ActingCredential, Actor, Role, Via};
use claviger_domain::id::CorrelationId;
use claviger_domain::id::SessionId;
use claviger_domain::id::UserId;
use claviger_domain::timestamp::Timestamp;
use std::collections::BTreeSet;

/// Who makes a request, after their credential was checked. Whose things the request concerns, its
/// *owner*, is a parameter of its own of every command and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user who acts.
    pub user: UserId,
    /// The credential by which they act.
    pub credential: ActingCredential,
    /// The rights that they have now.
    pub roles: BTreeSet<Role>,
    /// Present if the user came with an external issuer's token.
    pub foreign: Option<ForeignToken>,
}

impl Principal {
    /// A user who acts in a session.
    pub const fn of_session(user: UserId, session: SessionId, roles: BTreeSet<Role>) -> Self {
        Self { user, credential: ActingCredential::Session(session), roles, foreign: None }
    }

    /// The session; `None` for a credential that belongs to none.
    pub const fn session(&self) -> Option<SessionId> {
        match self.credential {
            ActingCredential::Session(session) => Some(session),
            ActingCredential::ApiToken(_)
            | ActingCredential::Operator
            | ActingCredential::Timer => None,
        }
    }

    /// The actor of the events that the principal causes through a face.
    pub fn actor(&self, via: Via) -> Actor {
        let role = self.roles.last().copied();
        Actor { user: Some(self.user), role, via, credential: Some(self.credential) }
    }
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

/// Where a client is, as rate limits count it. The default is a client without an address: all of
/// them share one bucket, which errs on the safe side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PeerKey {
    /// The address, or for IPv6 the network of one subscriber; IPv4 addresses are mapped.
    pub network: u128,
    /// Whether the client is on this machine, with no proxy in between.
    pub is_local: bool,
}

/// Data of one request, whether or not the caller is authenticated.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// Links everything that this request causes.
    pub correlation: CorrelationId,
    /// The client's `User-Agent`, unverified.
    pub user_agent: Option<String>,
    /// Where the client is; rate limits count by it.
    pub peer: PeerKey,
    /// The API through which the request came.
    pub via: Via,
}

//! What happens to an account.

use crate::actor::Role;
use crate::event::{events, facts};
use crate::id::SessionId;
use serde::{Deserialize, Serialize};

/// Why sessions were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokeReason {
    /// The user asked.
    Requested,
    /// The password is another one now.
    PasswordChanged,
    /// The account was deactivated.
    Deactivated,
    /// There were too many; the oldest ended.
    TooMany,
}

facts! {
    /// The event alone says it all.
    NoFacts {}
    /// What the new user may do.
    Registered {
        /// Always with `user`.
        roles: Vec<Role>,
    }
    /// A role.
    OfRole {
        /// Which.
        role: Role,
    }
    /// A session.
    OfSession {
        /// Which.
        session: SessionId,
    }
    /// Sessions that ended together.
    OfSessions {
        /// Which.
        sessions: Vec<SessionId>,
        /// Why.
        reason: RevokeReason,
    }
}

/// Who the user is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// As typed.
    pub username: String,
    /// Lower-cased.
    pub email: String,
    /// As they write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
}

/// Who the user is elsewhere: at the issuer whose tokens they bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The issuer, as its tokens name it (`iss`).
    pub issuer: String,
    /// The user there (`sub`).
    pub subject: String,
}

/// A new name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renamed {
    /// As they write it; absent when they took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
}

/// Where a session was begun from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The browser's or program's own words, cut to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

events! {
    /// What happens to an account.
    AccountEvent {
        /// A user came.
        AccountRegistered = 1 (Registered; content: Person),
        /// They come with tokens of an external issuer instead of a password.
        IdentityLinked = 1 (NoFacts; content: Identity),
        /// They write their name another way.
        AccountRenamed = 1 (NoFacts; content: Renamed),
        /// Another password; its hash is a credentials row of the same commit.
        PasswordChanged = 1 (NoFacts),
        /// May do more.
        RoleGranted = 1 (OfRole),
        /// May do less.
        RoleRevoked = 1 (OfRole),
        /// May not sign in.
        AccountDeactivated = 1 (NoFacts),
        /// May sign in again.
        AccountReactivated = 1 (NoFacts),
        /// A session began.
        SignedIn = 1 (OfSession; content: Seen),
        /// A session was ended by whoever held it.
        SignedOut = 1 (OfSession),
        /// Sessions were ended together.
        SessionsRevoked = 1 (OfSessions),
        /// A spent refresh token came back: somebody has a copy, so its session ended.
        RefreshTokenReused = 1 (OfSession),
        /// The user's content was destroyed.
        AccountErased = 1 (NoFacts),
    }
}

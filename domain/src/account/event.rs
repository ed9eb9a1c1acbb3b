//! What happens to an account.

use crate::actor::Role;
use crate::event::{events, facts};
use crate::id::SessionId;
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// Why sessions were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokeReason {
    /// The event's actor asked for it: the user, or an administrator.
    Requested,
    /// The password was changed, or made void by a reset.
    PasswordChanged,
    /// The account was deactivated.
    Deactivated,
    /// The account had more than its bound; the oldest ended.
    TooMany,
}

facts! {
    /// No facts beyond the event's type.
    NoFacts {}
    /// Facts of a new account.
    Registered {
        /// Always contains `user`.
        roles: Vec<Role>,
    }
    /// Facts about one role.
    OfRole {
        /// The role.
        role: Role,
    }
    /// Facts about one session.
    OfSession {
        /// The session.
        session: SessionId,
    }
    /// Facts of a token that sets a new password.
    ResetCreated {
        /// When the token expires.
        expires_at: Timestamp,
    }
    /// The session that ended from within.
    LeftSession {
        /// The session.
        session: SessionId,
        /// For a user of an external issuer: the issuer's tokens from before this time are refused.
        /// Absent in older events and for other users; the time of the event applies then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens_from: Option<Timestamp>,
    }
    /// Sessions that ended together.
    OfSessions {
        /// The sessions.
        sessions: Vec<SessionId>,
        /// Why they ended.
        reason: RevokeReason,
        /// For a user of an external issuer: the issuer's tokens of this time are accepted further,
        /// and no others from before the event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens_kept: Option<Timestamp>,
    }
}

/// How the user is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// In the spelling that the user typed.
    pub username: String,
    /// In lower case.
    pub email: String,
    /// In the user's own spelling; absent when none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
}

/// The user at the external issuer whose tokens they present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The issuer, as its tokens name it (`iss`).
    pub issuer: String,
    /// The user at that issuer (`sub`).
    pub subject: String,
}

/// A new name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renamed {
    /// In the user's own spelling; absent when the user removed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
}

/// The names by which the user signs in, where they changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInNames {
    /// In the spelling that was typed; absent if it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// In lower case; absent if it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// Where a session began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The `User-Agent` header, cut to 200 characters; absent when the request had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

events! {
    /// What happens to an account.
    AccountEvent {
        /// An account was made.
        AccountRegistered = 1 (Registered; content: Person),
        /// The user signs in with tokens of an external issuer instead of a password.
        IdentityLinked = 1 (NoFacts; content: Identity),
        /// The full name was changed or removed.
        AccountRenamed = 1 (NoFacts; content: Renamed),
        /// The password was changed; its hash is a credentials row of the same commit.
        PasswordChanged = 1 (NoFacts),
        /// The user holds a further role.
        RoleGranted = 1 (OfRole),
        /// The user holds a role no longer.
        RoleRevoked = 1 (OfRole),
        /// The user can't sign in.
        AccountDeactivated = 1 (NoFacts),
        /// The user can sign in again.
        AccountReactivated = 1 (NoFacts),
        /// A session began.
        SignedIn = 1 (OfSession; content: Seen),
        /// A session was ended from within it.
        SignedOut = 1 (LeftSession),
        /// Sessions were ended together.
        SessionsRevoked = 1 (OfSessions),
        /// A spent refresh token was presented: there is a copy of it, so its session ended.
        RefreshTokenReused = 1 (OfSession),
        /// The user's content was destroyed.
        AccountErased = 1 (NoFacts),
        /// The username or the e-mail address was changed.
        SignInNamesChanged = 1 (NoFacts; content: SignInNames),
        /// The password is void, and a token may set a new one; its hash is a credentials row of
        /// the same commit.
        PasswordResetCreated = 1 (ResetCreated),
        /// A new password was set with such a token; its hash is a credentials row of the same
        /// commit.
        PasswordReset = 1 (NoFacts),
    }
}

impl AccountEvent {
    /// Whether it starts or ends sessions and changes nothing else.
    pub const fn is_of_sessions(&self) -> bool {
        match self {
            Self::SignedIn(..)
            | Self::SignedOut(_)
            | Self::SessionsRevoked(_)
            | Self::RefreshTokenReused(_) => true,
            Self::AccountRegistered(..)
            | Self::IdentityLinked(..)
            | Self::AccountRenamed(..)
            | Self::PasswordChanged(_)
            | Self::RoleGranted(_)
            | Self::RoleRevoked(_)
            | Self::AccountDeactivated(_)
            | Self::AccountReactivated(_)
            | Self::AccountErased(_)
            | Self::SignInNamesChanged(..)
            | Self::PasswordResetCreated(_)
            | Self::PasswordReset(_) => false,
        }
    }
}

//! Who caused an event, through which face, by which credential.

use crate::event::EnvelopeVersion;
use crate::id::{ApiTokenId, SessionId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that is stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value of a word; `None` for any other text.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }
    )+};
}

words! {
    /// What a user may do.
    Role {
        /// Everything that is their own.
        User = "user",
        /// Reads structure and facts of everybody, content of nobody.
        Auditor = "auditor",
        /// An auditor who may also manage accounts.
        Admin = "admin",
    }
    /// The face that a command came through.
    Via {
        /// The GraphQL API.
        Graphql = "graphql",
        /// The REST facade.
        Rest = "rest",
        /// The command line.
        Cli = "cli",
        /// A timer of ours.
        Timer = "timer",
        /// The engine, on behalf of a run.
        Engine = "engine",
        /// The installation itself.
        System = "system",
        /// The web console; from envelope version 2.
        Console = "console",
        /// The gateway; from envelope version 2.
        Gateway = "gateway",
    }
}

impl Via {
    /// The first envelope version that has a word for this face.
    pub const fn since(self) -> EnvelopeVersion {
        match self {
            Self::Graphql | Self::Rest | Self::Cli | Self::Timer | Self::Engine | Self::System => {
                EnvelopeVersion::V1
            }
            Self::Console | Self::Gateway => EnvelopeVersion::V2,
        }
    }
}

/// The credential by which an actor acted. Stored from envelope version 2 on, as a word and an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActingCredential {
    /// A sign-in of the user.
    Session(SessionId),
    /// A token that the user made for a program.
    ApiToken(ApiTokenId),
    /// The person who runs a command on the store itself.
    Operator,
    /// A deadline that an earlier command set.
    Timer,
}

impl ActingCredential {
    /// The word that is stored.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::ApiToken(_) => "api_token",
            Self::Operator => "operator",
            Self::Timer => "timer",
        }
    }

    /// The id that is stored beside the word; `None` for kinds that have none.
    pub const fn id(self) -> Option<Uuid> {
        match self {
            Self::Session(SessionId(id)) | Self::ApiToken(ApiTokenId(id)) => Some(id),
            Self::Operator | Self::Timer => None,
        }
    }

    /// The credential of a stored word and id; `None` for an unknown word, or one whose id is
    /// missing or too many.
    pub fn parse(kind: &str, id: Option<Uuid>) -> Option<Self> {
        match (kind, id) {
            ("session", Some(id)) => Some(Self::Session(SessionId(id))),
            ("api_token", Some(id)) => Some(Self::ApiToken(ApiTokenId(id))),
            ("operator", None) => Some(Self::Operator),
            ("timer", None) => Some(Self::Timer),
            _ => None,
        }
    }
}

/// Who gave a command. `user` and `role` are absent for timers, the engine, the operator and the
/// installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user, if one gave the command.
    pub user: Option<UserId>,
    /// The strongest role that the user held then.
    pub role: Option<Role>,
    /// The face that the command came through.
    pub via: Via,
    /// The credential; `None` where none was needed, and for every event of envelope version 1,
    /// which records none.
    pub credential: Option<ActingCredential>,
}

impl Actor {
    /// The person who runs a command on the store itself.
    pub const OPERATOR: Self = Self {
        user: None,
        role: None,
        via: Via::Cli,
        credential: Some(ActingCredential::Operator),
    };

    /// A deadline that an earlier command set.
    pub const TIMER: Self =
        Self { user: None, role: None, via: Via::Timer, credential: Some(ActingCredential::Timer) };

    /// The engine, on behalf of a run.
    pub const ENGINE: Self = Self { user: None, role: None, via: Via::Engine, credential: None };

    /// The installation itself.
    pub const SYSTEM: Self = Self { user: None, role: None, via: Via::System, credential: None };
}

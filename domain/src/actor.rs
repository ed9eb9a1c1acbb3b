//! Who did it, and through which door.

use crate::id::UserId;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads the word.
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
        /// Structure and facts of all, content of none.
        Auditor = "auditor",
        /// An auditor who may also manage accounts.
        Admin = "admin",
    }
    /// The door a command came through.
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
    }
}

/// Who gave a command. `user` and `role` are absent for timers and the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user, if a person gave it.
    pub user: Option<UserId>,
    /// The strongest role the user held then.
    pub role: Option<Role>,
    /// The door.
    pub via: Via,
}

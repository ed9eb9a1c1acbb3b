//! Names of streams.

use crate::id::UserId;
use std::fmt;
use uuid::Uuid;

/// A stream of the log: the events of one aggregate. Text form in `ops/docs/FORMATS.md`, section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamName {
    /// A user's account.
    Account(UserId),
    /// All keys of a user.
    KeyRing(UserId),
    /// An orchestration run.
    Run(Uuid),
    /// What was asked of a run from outside.
    RunControl(Uuid),
    /// The installation itself.
    System,
}

impl StreamName {
    /// Reads the text form; `None` for anything that [`fmt::Display`] wouldn't have written.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "system" {
            return Some(Self::System);
        }
        let (kind, id) = text.split_once('/')?;
        let id = Uuid::try_parse(id).ok()?;
        let name = match kind {
            "account" => Self::Account(UserId(id)),
            "key-ring" => Self::KeyRing(UserId(id)),
            "run" => Self::Run(id),
            "run-control" => Self::RunControl(id),
            _ => return None,
        };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(user) => write!(f, "account/{user}"),
            Self::KeyRing(user) => write!(f, "key-ring/{user}"),
            Self::Run(run) => write!(f, "run/{}", run.as_hyphenated()),
            Self::RunControl(run) => write!(f, "run-control/{}", run.as_hyphenated()),
            Self::System => f.write_str("system"),
        }
    }
}

//! How a MongoDB store is reached.

use super::faults::{Faults, NoFaults};
use claviger_domain::catalogue::Readable;
use claviger_vault::Entropy;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Where the server is, `mongodb://…`. May hold a password: it has no readable form.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct MongoUri(String);

impl MongoUri {
    /// The text, for the driver.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for MongoUri {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for MongoUri {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for MongoUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MongoUri(..)")
    }
}

/// As long as nothing else is said.
const LEASE: Duration = Duration::from_secs(10);
/// Longer than a commit may take, and than a transaction should live.
const ANSWER: Duration = Duration::from_secs(10);

/// How to open the store.
#[derive(Clone)]
pub struct MongoConfig {
    /// The server. A database named in it is used, else `claviger`.
    pub uri: MongoUri,
    /// The database to use instead of the one named there.
    pub database: Option<String>,
    /// Spreads retries of processes that are in each other's way, and marks rotations.
    pub entropy: Arc<dyn Entropy>,
    /// How long a process that says nothing is believed alive. After that its append session may be ended by another.
    pub lease: Duration,
    /// How long an answer of the server is waited for, whatever the connection looks like.
    pub answer_within: Duration,
    /// What this program reads of a log: a store that holds anything else is refused, and nothing else is appended.
    pub reads: Arc<Readable>,
    /// Failpoints, for tests.
    pub faults: Arc<dyn Faults>,
    /// Sees every command that is sent, for tests.
    pub monitor: Option<EventHandler<CommandEvent>>,
}

impl MongoConfig {
    /// A store at `uri`.
    pub fn new(uri: MongoUri, entropy: Arc<dyn Entropy>) -> Self {
        let faults = Arc::new(NoFaults);
        Self {
            uri,
            database: None,
            entropy,
            lease: LEASE,
            answer_within: ANSWER,
            reads: Arc::new(Readable::current()),
            faults,
            monitor: None,
        }
    }
}

impl fmt::Debug for MongoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoConfig").field("uri", &self.uri).finish_non_exhaustive()
    }
}

//! How to reach a MongoDB store.

use super::faults::{Faults, NoFaults};
use crate::address::MongoUri;
use crate::skipped::Skipped;
use claviger_domain::catalogue::Readable;
use claviger_vault::Entropy;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The default lease.
const LEASE: Duration = Duration::from_secs(10);
/// The default wait for a reply: longer than a commit may take, and than a transaction should live.
const ANSWER: Duration = Duration::from_secs(10);

/// How to open the store.
#[derive(Clone)]
pub struct MongoConfig {
    /// The server. A database named in the address is used, else `claviger`.
    pub uri: MongoUri,
    /// Name servers for an address `mongodb+srv://`; none for the machine's.
    pub nameservers: Vec<SocketAddr>,
    /// The database to use instead of the one named in the address.
    pub database: Option<String>,
    /// Spreads the retries of processes that conflict with each other, and marks rotations.
    pub entropy: Arc<dyn Entropy>,
    /// How long a process is considered alive without renewing its lease. After that, another
    /// process may end its append session.
    pub lease: Duration,
    /// How long to wait for a reply of the server, even if the connection seems intact.
    pub answer_within: Duration,
    /// What this program can read in a log. A store that holds anything else is refused, and
    /// nothing else is appended.
    pub reads: Arc<Readable>,
    /// Whether the database's clock contradicts an append whose time is far ahead.
    pub asks_clock: bool,
    /// Counts documents that are passed over because they cannot be decoded.
    pub skipped: Arc<Skipped>,
    /// Failpoints, for tests.
    pub faults: Arc<dyn Faults>,
    /// Receives every command that is sent, for tests.
    pub monitor: Option<EventHandler<CommandEvent>>,
}

impl MongoConfig {
    /// A store at `uri`, with the defaults.
    pub fn new(uri: MongoUri, entropy: Arc<dyn Entropy>) -> Self {
        let faults = Arc::new(NoFaults);
        Self {
            uri,
            nameservers: Vec::new(),
            database: None,
            entropy,
            lease: LEASE,
            answer_within: ANSWER,
            reads: Arc::new(Readable::current()),
            asks_clock: false,
            skipped: Arc::default(),
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

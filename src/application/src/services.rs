//! Everything a face stands on.

use crate::accounts::Accounts;
use crate::administration::{Administration, ServerInfo};
use crate::credentials::Credentials;
use crate::feeds::Feeds;
use crate::feeds::RunFeeds;
use crate::key_commands::KeyCommands;
use crate::reads::Reads;
use crate::run_commands::RunCommands;
use crate::run_reads::RunReads;
use std::sync::Arc;

/// All ports of the schema.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct Ports {
    /// Commands on keys.
    pub keys: Arc<dyn KeyCommands>,
    /// Reads of accounts, keys, sessions and events.
    pub reads: Arc<dyn Reads>,
    /// The resolution of credentials, and the models.
    pub credentials: Arc<dyn Credentials>,
    /// Accounts and sessions.
    pub accounts: Arc<dyn Accounts>,
    /// The administration of accounts.
    pub administration: Arc<dyn Administration>,
    /// What the server tells everybody.
    pub server: Arc<ServerInfo>,
    /// Live feeds.
    pub feeds: Arc<dyn Feeds>,
    /// Commands on runs.
    pub run_commands: Arc<dyn RunCommands>,
    /// Reads of runs.
    pub run_reads: Arc<dyn RunReads>,
    /// Live feeds of runs.
    pub run_feeds: Arc<dyn RunFeeds>,
}

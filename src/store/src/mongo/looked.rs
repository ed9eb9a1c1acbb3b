//! A database that was looked at and not changed: nothing is made in it until it is opened.

use super::config::MongoConfig;
use super::error::{DbError, OpenError, open_error};
use super::schema::{self, META};
use super::store::{MongoStore, check};
use super::{read, seeds, session, shape};
use crate::glance::Glance;
use claviger_projections::ports::BoxFuture;
use mongodb::options::{ClientOptions, ReadConcern};
use mongodb::{Client, Database};
use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

/// The database if the address names none.
const DATABASE: &str = "claviger";
/// How long to look for a server and connect to it. A caller waits no longer than this for a set
/// without a primary.
const PATIENCE: Duration = Duration::from_secs(5);

/// A database that may be opened.
pub struct Looked {
    pub(super) config: MongoConfig,
    pub(super) db: Database,
    /// Names of the collections.
    there: HashSet<String>,
    glance: Glance,
}

impl std::fmt::Debug for Looked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Looked").field("glance", &self.glance).finish_non_exhaustive()
    }
}

impl Looked {
    /// What was seen.
    pub const fn glance(&self) -> &Glance {
        &self.glance
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        self.db.name()
    }

    /// Opens the store: creates what is missing.
    ///
    /// # Errors
    /// [`OpenError`] names the obstacle and what to do about it.
    pub fn open(self) -> BoxFuture<'static, Result<MongoStore, OpenError>> {
        Box::pin(MongoStore::start(self))
    }

    /// Connects, and checks the deployment.
    pub(super) async fn at(config: MongoConfig) -> Result<Self, OpenError> {
        let db = connect(&config).await?;
        let failed = |error: DbError| open_error(db.name(), error);
        let there = shape::collections(&db).await?;
        let mut glance = Glance::default();
        if there.contains(META) {
            schema::check_format(&db).await?;
            glance.is_there = true;
            // Asked again once this process has published what it reads.
            let required = schema::required(&db).await.map_err(failed)?;
            if let Some((requirement, program)) =
                required.into_iter().find(|(requirement, _)| !config.reads.has(requirement))
            {
                return Err(OpenError::Requires {
                    database: db.name().to_owned(),
                    requirement,
                    program,
                });
            }
        }
        if there.iter().any(|name| schema::is_ours(name)) {
            glance.store_keys = read::store_keys(&db).await.map_err(failed)?;
            let used = read::user_keys_by_kek(&db, &config.skipped).await.map_err(failed)?;
            glance.user_keks = used.into_iter().map(|(kek, _)| kek).collect();
            glance.position = read::last_position(&db).await.map_err(failed)?;
        }
        Ok(Self { config, db, there, glance })
    }

    /// Creates what is missing; returns the end of the log.
    pub(super) async fn prepare(db: &Database, there: &HashSet<String>) -> Result<u64, OpenError> {
        schema::prepare(db, there).await?;
        shape::check_indexes(db).await?;
        let failed = |error| open_error(db.name(), error);
        let damaged = |what| Err(OpenError::Damaged { database: db.name().to_owned(), what });
        let last = read::last_position(db).await.map_err(failed)?;
        let (frontier, at) = read::head(db).await.map_err(failed)?;
        let head = frontier.size();
        // Read in this order, the head may have advanced in between, but never moved back.
        if head < last {
            return damaged(format!("the head is at position {head}, an event at {last}"));
        }
        read::events_after(db, head.saturating_sub(1), 1).await.map_err(failed)?;
        // The next event would take that time over, and sign it.
        if read::time_of(db, None, head).await.map_err(failed)? != Some(at) {
            return damaged(format!(
                "the head has another time than the last event, at position {head}"
            ));
        }
        Ok(head)
    }

    /// What was looked at, apart.
    pub(super) fn into_parts(self) -> (MongoConfig, Database, HashSet<String>) {
        (self.config, self.db, self.there)
    }
}

async fn connect(config: &MongoConfig) -> Result<Database, OpenError> {
    let mut uri = Cow::Borrowed(config.uri.expose());
    if seeds::is_by_name(&uri) {
        let entropy = config.entropy.as_ref();
        uri = Cow::Owned(seeds::resolved(&uri, &config.nameservers, entropy).await?);
    }
    if !uri.starts_with("mongodb://") {
        return Err(OpenError::Address);
    }
    let mut options = ClientOptions::parse(&*uri).await.map_err(|_| OpenError::Address)?;
    options.app_name.get_or_insert_with(|| "claviger".to_owned());
    options.server_selection_timeout.get_or_insert(PATIENCE);
    options.connect_timeout.get_or_insert(PATIENCE);
    // These override options in the address: everything here relies on them.
    options.write_concern = Some(session::durable());
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(session::primary());
    options.retry_writes = Some(true);
    options.retry_reads = Some(true);
    options.command_event_handler.clone_from(&config.monitor);
    let named = config.database.clone().or_else(|| options.default_database.clone());
    let name = named.unwrap_or_else(|| DATABASE.to_owned());
    let client = Client::with_options(options).map_err(|_| OpenError::Address)?;
    check(&client).await?;
    Ok(client.database(&name))
}

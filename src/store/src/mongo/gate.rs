//! What may be appended: an envelope version, type or schema that is newer than the first release
//! that published what it reads is appended only when every live process reads it.
//!
//! Each process publishes what it reads in its line of `processes`; a program whose line has no
//! such field reads [`Readable::first`]. Requirements beyond that stand in `meta`, and a process
//! that can't read one refuses the store when it opens it. Two orders make that safe without a
//! lock:
//!
//! - A process that opens the store publishes what it reads, *then* reads the requirements.
//! - A process that appends something new makes it a requirement, *then* reads the processes, and
//!   appends only if all of them read it.
//!
//! The process whose write comes second sees the other's write. Programs from before this gate
//! check the format before they publish themselves. The first requirement therefore raises the
//! format, which they refuse; one that opens the store in that very moment is found by
//! [`Gate::review`], which each process runs whenever it renews its own line.
//!
//! Requirements that every process was found to read are remembered in memory, so appends that need
//! only those cost nothing.

use super::calls::Calls;
use super::error::{DbError, OpenError, open_error};
use super::schema::{self, PROCESSES};
use claviger_domain::catalogue::{Readable, Requirement};
use claviger_domain::event::EnvelopeVersion;
use claviger_projections::ports::{Append, AppendError};
use futures::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The gate of one process.
pub(super) struct Gate {
    db: Database,
    calls: Calls,
    /// What this process reads.
    reads: Arc<Readable>,
    /// What every live process was found to read, after the store required it.
    open: Mutex<BTreeSet<Requirement>>,
}

/// The gate's decision about a batch of appends.
pub(super) struct Passage {
    /// The version of the envelopes.
    pub(super) version: EnvelopeVersion,
    /// What can't be appended, and the process that doesn't read it.
    blocked: BTreeMap<Requirement, String>,
}

impl Passage {
    /// Whether an append may go through.
    pub(super) fn admits(&self, append: &Append) -> Result<(), AppendError> {
        let face = (append.actor.via.since() > self.version).then(newest);
        let blocked = face
            .into_iter()
            .chain(append.requirements())
            .find_map(|requirement| self.blocked.get_key_value(&requirement));
        match blocked {
            None => Ok(()),
            Some((requirement, process)) => Err(AppendError::NotReadByAll {
                requirement: requirement.clone(),
                process: process.clone(),
            }),
        }
    }
}

fn newest() -> Requirement {
    Requirement::envelope(EnvelopeVersion::NEWEST)
}

impl Gate {
    /// A gate with nothing open yet.
    pub(super) fn new(db: Database, calls: Calls, reads: Arc<Readable>) -> Self {
        Self { db, calls, reads, open: Mutex::default() }
    }

    /// What this process reads, for its line in `processes`.
    pub(super) fn published(&self) -> Vec<Bson> {
        self.reads.iter().map(|requirement| Bson::String(requirement.to_string())).collect()
    }

    fn open(&self) -> MutexGuard<'_, BTreeSet<Requirement>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a store that requires what this process can't read. Called after the process has
    /// published itself.
    pub(super) async fn check(&self) -> Result<(), OpenError> {
        let database = self.db.name().to_owned();
        let required = schema::required(&self.db).await;
        let required = required.map_err(|error| open_error(&database, error))?;
        match required.into_iter().find(|(requirement, _)| !self.reads.has(requirement)) {
            None => Ok(()),
            Some((requirement, program)) => {
                Err(OpenError::Requires { database, requirement, program })
            }
        }
    }

    /// Opens the gate for what the appends need, as far as every live process reads it. Without the
    /// newest envelope version they are appended with version 1, which every program reads.
    pub(super) async fn pass(&self, appends: &[Arc<Append>]) -> Result<Passage, DbError> {
        let wanted: BTreeSet<_> = appends
            .iter()
            .flat_map(|append| append.requirements())
            .chain(std::iter::once(newest()))
            .collect();
        let closed: BTreeSet<_> = {
            let open = self.open();
            wanted.into_iter().filter(|requirement| !open.contains(requirement)).collect()
        };
        let blocked = if closed.is_empty() { BTreeMap::new() } else { self.unlock(closed).await? };
        let version = if blocked.contains_key(&newest()) {
            EnvelopeVersion::V1
        } else {
            EnvelopeVersion::NEWEST
        };
        Ok(Passage { version, blocked })
    }

    /// Looks at the processes, requires what all of them read, and looks again: a process that came
    /// in between has seen the requirement, or is seen now. What one of them can't read is returned
    /// with its name.
    async fn unlock(
        &self,
        mut wanted: BTreeSet<Requirement>,
    ) -> Result<BTreeMap<Requirement, String>, DbError> {
        let mut blocked = self.unread(&wanted).await?;
        wanted.retain(|requirement| !blocked.contains_key(requirement));
        if wanted.is_empty() {
            return Ok(blocked);
        }
        let (db, required) = (self.db.clone(), wanted.clone());
        self.calls.ask(async move { schema::require(&db, &required).await }).await?;
        blocked.extend(self.unread(&wanted).await?);
        wanted.retain(|requirement| !blocked.contains_key(requirement));
        self.open().extend(wanted);
        Ok(blocked)
    }

    /// Closes the gate for what a live process can't read: one that opened the store in the moment
    /// in which that became a requirement, or that was stopped for longer than its lease and goes
    /// on.
    pub(super) async fn review(&self) -> Result<(), DbError> {
        let open = self.open().clone();
        if open.is_empty() {
            return Ok(());
        }
        for (requirement, process) in self.unread(&open).await? {
            tracing::error!(
                %requirement,
                process,
                "a process works on this store that can't read its events: stop or upgrade it"
            );
            self.open().remove(&requirement);
        }
        Ok(())
    }

    /// What a live process can't read, with the name of the process. This process counts as well.
    async fn unread(
        &self,
        wanted: &BTreeSet<Requirement>,
    ) -> Result<BTreeMap<Requirement, String>, DbError> {
        // A line without a time was not written by a process, and must not hold all others.
        let live = doc! {
            "until": { "$type": "number" },
            "$expr": { "$gte": ["$until", { "$toLong": "$$NOW" }] },
        };
        let processes = self.db.collection::<Document>(PROCESSES);
        let question = async move { processes.find(live).await?.try_collect::<Vec<_>>().await };
        let lines = self.calls.ask(question).await?;
        let own = (Arc::clone(&self.reads), "this process".to_owned());
        let others = lines.iter().map(|line| {
            let label = line.get_str("label").unwrap_or("a process without a name").to_owned();
            (Arc::new(published_by(line)), label)
        });
        let readers: Vec<_> = std::iter::once(own).chain(others).collect();
        let unread = |requirement: &Requirement| {
            let (_, process) = readers.iter().find(|(reads, _)| !reads.has(requirement))?;
            Some((requirement.clone(), process.clone()))
        };
        Ok(wanted.iter().filter_map(unread).collect())
    }
}

/// What the process of a line reads.
fn published_by(line: &Document) -> Readable {
    let Ok(reads) = line.get_array("reads") else { return Readable::first() };
    reads.iter().filter_map(Bson::as_str).map(Requirement::stored).collect()
}

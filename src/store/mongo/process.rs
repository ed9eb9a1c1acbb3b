//! Who else writes. A process that is stopped inside its transaction holds the head, and with it every writer, for the server's
//! transaction lifetime. So each process says in `processes` which session it appends in, and until when it is to be believed alive;
//! the session of one whose time is over is ended by whoever waits for the head. Ending that of a process that lives after all does no
//! harm: its transaction is gone, it is told so, and begins again.

use super::calls::Calls;
use super::cells::Cells;
use super::error::DbError;
use super::schema::{PROCESSES, id};
use claviger_projections::ports::StoreError;
use claviger_vault::Entropy;
use futures::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Sessions given up that are remembered, to be ended again: what is late on its way may bring one back.
const REMEMBERED: usize = 16;

/// This process's line in `processes`.
pub(super) struct Process {
    db: Database,
    calls: Calls,
    /// New with every start.
    boot: Uuid,
    label: String,
    lease: Duration,
    sessions: Mutex<Sessions>,
}

struct Sessions {
    /// The one appends are made in.
    current: Document,
    /// Those whose calls were given up, newest last.
    given_up: Vec<Document>,
}

impl Process {
    /// A process that appends in the session `lsid`. [`Process::publish`] makes it known.
    pub(super) fn new(db: Database, calls: Calls, lease: Duration, entropy: &dyn Entropy, lsid: Document) -> Self {
        let mut random = [0; 16];
        entropy.fill(&mut random);
        let boot = uuid::Builder::from_random_bytes(random).into_uuid();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let label = format!("process {} on {host}", std::process::id());
        Self { db, calls, boot, label, lease, sessions: Mutex::new(Sessions { current: lsid, given_up: Vec::new() }) }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says, by the database's clock, that this process lives and appends in its session.
    pub(super) async fn publish(&self) -> Result<(), DbError> {
        let until = doc! { "$add": [{ "$toLong": "$$NOW" }, i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)] };
        let lsid = self.sessions().current.clone();
        let set = doc! { "$set": { "label": { "$literal": &self.label }, "lsid": { "$literal": lsid }, "until": until } };
        let processes = self.db.collection::<Document>(PROCESSES);
        let filter = doc! { "_id": id(self.boot) };
        self.calls.ask(async move { processes.update_one(filter, vec![set]).upsert(true).await }).await.map(drop)
    }

    /// Appends are made in another session from now on: it is published before anything is done in it, and the old one ended, as what is
    /// under way in it will never be heard of.
    pub(super) async fn change_session(&self, lsid: Document) -> Result<(), DbError> {
        {
            let mut sessions = self.sessions();
            let old = std::mem::replace(&mut sessions.current, lsid.clone());
            sessions.given_up.push(old);
            // The driver may hand out again what a late call left in order.
            sessions.given_up.retain(|given_up| *given_up != lsid);
            let surplus = sessions.given_up.len().saturating_sub(REMEMBERED);
            sessions.given_up.drain(..surplus);
        }
        self.publish().await?;
        self.end_given_up().await
    }

    /// Ends the sessions that this process gave up.
    pub(super) async fn end_given_up(&self) -> Result<(), DbError> {
        let given_up = self.sessions().given_up.clone();
        if given_up.is_empty() { Ok(()) } else { self.end_sessions(given_up).await }
    }

    async fn end_sessions(&self, lsids: Vec<Document>) -> Result<(), DbError> {
        let admin = self.db.client().database("admin");
        self.calls.ask(async move { admin.run_command(doc! { "killSessions": lsids }).await }).await.map(drop)
    }

    /// Ends the sessions of processes whose time is over, and removes their lines.
    pub(super) async fn end_lapsed(&self) -> Result<(), DbError> {
        let others = doc! { "_id": { "$ne": id(self.boot) }, "$expr": { "$lt": ["$until", { "$toLong": "$$NOW" }] } };
        let processes = self.db.collection::<Document>(PROCESSES);
        let question = async move { processes.find(others).await?.try_collect::<Vec<_>>().await };
        let lapsed = self.calls.ask(question).await?;
        let lsids: Vec<_> = lapsed.iter().filter_map(|process| process.get_document("lsid").ok()).cloned().collect();
        if lsids.is_empty() {
            return Ok(());
        }
        self.end_sessions(lsids).await?;
        for process in lapsed {
            // One that has woken up meanwhile keeps its line: it has another time in it.
            let line = doc! { "_id": process.get("_id"), "until": process.get("until") };
            let found = Cells::new(PROCESSES, process);
            tracing::warn!(
                process = found.text("label").unwrap_or_default(),
                "the session of a process that doesn't answer for itself any more was ended"
            );
            self.remove(line).await?;
        }
        Ok(())
    }

    async fn remove(&self, line: Document) -> Result<(), DbError> {
        let processes = self.db.collection::<Document>(PROCESSES);
        self.calls.ask(async move { processes.delete_one(line).await }).await.map(drop)
    }

    /// Renews every third of the lease until nothing is appended any more; then removes the line. Begins with the lines that killed
    /// processes left, else nobody would remove them where one process works alone.
    pub(super) async fn keep(&self, appended: CancellationToken) {
        if let Err(error) = self.end_lapsed().await {
            tracing::debug!(error = %StoreError::from(error), "the lines of processes that are gone stay");
        }
        while timeout(self.lease / 3, appended.cancelled()).await.is_err() {
            if let Err(error) = self.publish().await {
                tracing::warn!(error = %StoreError::from(error), "this process can't say that it lives");
            }
        }
        if let Err(error) = self.remove(doc! { "_id": id(self.boot) }).await {
            tracing::debug!(error = %StoreError::from(error), "this process's line stays until its time is over");
        }
    }
}

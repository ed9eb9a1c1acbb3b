//! The processes that write. A process that is stopped inside its transaction holds the head, and
//! with it every writer, or a view and its lease, for the server's transaction lifetime. So each
//! process publishes in `processes` which sessions it writes in, and until when it is to be
//! considered alive. A process that waits for something held by a lapsed process ends the sessions
//! of that process. Ending the sessions of a process that is alive after all is safe: its
//! transaction is gone, it gets an error, and starts again.

use super::calls::Calls;
use super::cells::Cells;
use super::error::DbError;
use super::gate::Gate;
use super::schema::{PROCESSES, id};
use claviger_projections::ports::StoreError;
use claviger_vault::Entropy;
use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::{ClientSession, Database};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Number of abandoned sessions remembered, to be ended again: a delayed call may bring one back.
const REMEMBERED: usize = 16;

/// This process's document in `processes`.
pub(super) struct Process {
    db: Database,
    calls: Calls,
    /// New with every start.
    boot: Uuid,
    label: String,
    lease: Duration,
    gate: Arc<Gate>,
    sessions: Mutex<Sessions>,
    /// The session for writes beside appends, unless it is lent.
    aside: tokio::sync::Mutex<Option<ClientSession>>,
}

struct Sessions {
    /// The session that appends are made in.
    current: Document,
    /// The session for writes beside appends, once there was such a write.
    aside: Option<Document>,
    /// Sessions whose calls were abandoned, newest last.
    given_up: Vec<Document>,
}

impl Sessions {
    /// Remembers a session that is replaced by another.
    fn give_up(&mut self, old: Document, by: &Document) {
        self.given_up.push(old);
        // The driver may hand out again a session that a late call left in order.
        self.given_up.retain(|given_up| given_up != by);
        let surplus = self.given_up.len().saturating_sub(REMEMBERED);
        self.given_up.drain(..surplus);
    }
}

/// A lent session.
pub(super) struct Lent<'a> {
    pub(super) session: ClientSession,
    place: tokio::sync::MutexGuard<'a, Option<ClientSession>>,
}

impl Lent<'_> {
    /// Returns the session, with no transaction open in it.
    pub(super) fn give_back(mut self) {
        *self.place = Some(self.session);
    }
}

impl Process {
    /// A process that appends in the session `lsid`. [`Process::publish`] announces it.
    pub(super) fn new(
        (db, calls): (Database, Calls),
        gate: Arc<Gate>,
        lease: Duration,
        entropy: &dyn Entropy,
        lsid: Document,
    ) -> Self {
        let mut random = [0; 16];
        entropy.fill(&mut random);
        let boot = uuid::Builder::from_random_bytes(random).into_uuid();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let label = format!("process {} on {host}", std::process::id());
        let sessions = Mutex::new(Sessions { current: lsid, aside: None, given_up: Vec::new() });
        Self { db, calls, boot, label, lease, gate, sessions, aside: tokio::sync::Mutex::default() }
    }

    pub(super) const fn database(&self) -> &Database {
        &self.db
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes, by the database's clock, that this process is alive, and the sessions it writes
    /// in.
    pub(super) async fn publish(&self) -> Result<(), DbError> {
        let until = doc! { "$add": [{ "$toLong": "$$NOW" }, i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)] };
        let (lsid, aside) = {
            let sessions = self.sessions();
            (sessions.current.clone(), sessions.aside.clone())
        };
        let (label, lsid, aside) = (
            doc! { "$literal": &self.label },
            doc! { "$literal": lsid },
            doc! { "$literal": aside },
        );
        let reads = doc! { "$literal": self.gate.published() };
        let set = doc! { "$set": { "label": label, "lsid": lsid, "aside": aside, "reads": reads, "until": until } };
        let processes = self.db.collection::<Document>(PROCESSES);
        let filter = doc! { "_id": id(self.boot) };
        self.calls
            .ask(async move { processes.update_one(filter, vec![set]).upsert(true).await })
            .await
            .map(drop)
    }

    /// Makes appends in another session from now on: it is published before its first use, and the
    /// old one is ended, because the outcome of its calls will never be received.
    pub(super) async fn change_session(&self, lsid: Document) -> Result<(), DbError> {
        {
            let mut sessions = self.sessions();
            let old = std::mem::replace(&mut sessions.current, lsid.clone());
            sessions.give_up(old, &lsid);
        }
        self.publish().await?;
        self.end_given_up().await
    }

    /// Lends the session for writes beside appends, to one caller at a time. It is published before
    /// its first use. A caller that was cut short, or does not know the outcome of its commit, does
    /// not return it: the next caller gets another session, and the old one is ended.
    pub(super) async fn lend(&self) -> Result<Lent<'_>, DbError> {
        let mut place = self.aside.lock().await;
        if let Some(session) = place.take() {
            return Ok(Lent { session, place });
        }
        let session = self.db.client().start_session().await?;
        let lsid = session.id().clone();
        let is_first = {
            let mut sessions = self.sessions();
            let old = sessions.aside.replace(lsid.clone());
            let is_first = old.is_none();
            if let Some(old) = old {
                sessions.give_up(old, &lsid);
            }
            is_first
        };
        self.publish().await?;
        if !is_first {
            self.end_given_up().await?;
        }
        Ok(Lent { session, place })
    }

    /// Ends the sessions that this process abandoned.
    pub(super) async fn end_given_up(&self) -> Result<(), DbError> {
        let given_up = self.sessions().given_up.clone();
        if given_up.is_empty() { Ok(()) } else { self.end_sessions(given_up).await }
    }

    async fn end_sessions(&self, lsids: Vec<Document>) -> Result<(), DbError> {
        let admin = self.db.client().database("admin");
        self.calls
            .ask(async move { admin.run_command(doc! { "killSessions": lsids }).await })
            .await
            .map(drop)
    }

    /// Ends the sessions of lapsed processes, and removes their documents.
    pub(super) async fn end_lapsed(&self) -> Result<(), DbError> {
        let others = doc! { "_id": { "$ne": id(self.boot) }, "$expr": { "$lt": ["$until", { "$toLong": "$$NOW" }] } };
        let processes = self.db.collection::<Document>(PROCESSES);
        let question = async move { processes.find(others).await?.try_collect::<Vec<_>>().await };
        let lapsed = self.calls.ask(question).await?;
        let of = |process: &Document| {
            ["lsid", "aside"].map(|session| process.get_document(session).ok().cloned())
        };
        let lsids: Vec<_> = lapsed.iter().flat_map(of).flatten().collect();
        if lsids.is_empty() {
            return Ok(());
        }
        self.end_sessions(lsids).await?;
        for process in lapsed {
            // A process that woke up meanwhile keeps its document: its `until` has changed.
            let line = doc! { "_id": process.get("_id"), "until": process.get("until") };
            let found = Cells::new(PROCESSES, process);
            tracing::warn!(
                process = found.text("label").unwrap_or_default(),
                "ended the sessions of a process whose lease has lapsed"
            );
            self.remove(line).await?;
        }
        Ok(())
    }

    async fn remove(&self, line: Document) -> Result<(), DbError> {
        let processes = self.db.collection::<Document>(PROCESSES);
        self.calls.ask(async move { processes.delete_one(line).await }).await.map(drop)
    }

    /// Renews the lease every third of its length until appending ends, then removes the document.
    /// Starts with the documents that killed processes left: where one process works alone, no
    /// other process would remove them.
    pub(super) async fn keep(&self, appended: CancellationToken) {
        if let Err(error) = self.end_lapsed().await {
            tracing::debug!(error = %StoreError::from(error), "the documents of ended processes remain");
        }
        while timeout(self.lease / 3, appended.cancelled()).await.is_err() {
            if let Err(error) = self.publish().await {
                tracing::warn!(error = %StoreError::from(error), "this process could not renew its lease");
            }
            if let Err(error) = self.gate.review().await {
                tracing::debug!(error = %StoreError::from(error), "what other processes read can't be looked at");
            }
        }
        self.leave().await;
    }

    /// Removes the line of this process. One that stays is believed until its time is over.
    pub(super) async fn leave(&self) {
        if let Err(error) = self.remove(doc! { "_id": id(self.boot) }).await {
            tracing::debug!(error = %StoreError::from(error), "this process's document remains until its lease lapses");
        }
    }
}

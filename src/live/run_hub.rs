//! Who follows runs that this process works on, and what became durable of their text.

use claviger_domain::id::RunId;
use claviger_projections::flusher::{FlushFailure, FlushListener, Flushed};
use claviger_projections::run_feed::OpenedDeltas;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How many rows wait for a slow listener before it is left to read the store.
const ROWS: usize = 64;

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<RunId, broadcast::Sender<Arc<OpenedDeltas>>>,
    /// Runs whose text is written by this process.
    owned: HashSet<RunId>,
}

/// Tells of rows of text once they are durable. What it tells is only a hint, like everything that is told live.
#[derive(Debug, Default)]
pub struct RunHub(Mutex<State>);

impl RunHub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to a run's text from now on.
    pub(crate) fn listen(self: &Arc<Self>, run: RunId) -> RunListener {
        let mut state = self.lock();
        let rows = state.rooms.entry(run).or_insert_with(|| broadcast::channel(ROWS).0).subscribe();
        RunListener { hub: Arc::clone(self), run, rows }
    }

    /// Whether this process writes the run's text, and so tells of all of it.
    pub(crate) fn owns(&self, run: RunId) -> bool {
        self.lock().owned.contains(&run)
    }

    /// This process begins, or ends, to write a run's text.
    pub(crate) fn own(&self, run: RunId, owns: bool) {
        let mut state = self.lock();
        let _ = if owns { state.owned.insert(run) } else { state.owned.remove(&run) };
    }

    fn leave(&self, run: RunId) {
        let mut state = self.lock();
        // The one that leaves still counts.
        if state.rooms.get(&run).is_some_and(|room| room.receiver_count() <= 1) {
            state.rooms.remove(&run);
        }
    }
}

impl FlushListener for RunHub {
    fn flushed(&self, flushed: Flushed) {
        if let Some(room) = self.lock().rooms.get(&flushed.run) {
            // Nobody is left to tell only between the last one's leaving and the removal of the room.
            let _ = room.send(Arc::new(flushed.row));
        }
    }

    /// Whoever writes the run learns it by its next append.
    fn failed(&self, run: RunId, failure: FlushFailure) {
        tracing::warn!(%run, error = %failure, "text of a run is durable no more");
    }
}

/// A place at the hub; given up when dropped.
pub(crate) struct RunListener {
    hub: Arc<RunHub>,
    run: RunId,
    rows: broadcast::Receiver<Arc<OpenedDeltas>>,
}

impl RunListener {
    /// Waits for the next row; `None` when there were more than the channel holds. Dropping the future loses nothing.
    pub(crate) async fn told(&mut self) -> Option<Arc<OpenedDeltas>> {
        match self.rows.recv().await {
            Ok(row) => Some(row),
            Err(RecvError::Lagged(_)) => None,
            // The room lives as long as somebody is in it.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for RunListener {
    fn drop(&mut self) {
        self.hub.leave(self.run);
    }
}

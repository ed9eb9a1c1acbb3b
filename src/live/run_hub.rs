//! Subscribers to the text of the runs that this process works on.

use claviger_domain::id::RunId;
use claviger_projections::flusher::{FlushFailure, FlushListener, Flushed};
use claviger_projections::run_feed::OpenedDeltas;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Rows that wait for a slow subscriber before it has to read the store.
const ROWS: usize = 64;

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<RunId, broadcast::Sender<Arc<OpenedDeltas>>>,
    /// Runs whose text this process writes.
    owned: HashSet<RunId>,
}

/// Publishes rows of text once they are durable. Like everything published live, a row is only a
/// hint.
#[derive(Debug, Default)]
pub struct RunHub(Mutex<State>);

impl RunHub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subscribes to a run's text from now on.
    pub(crate) fn listen(self: &Arc<Self>, run: RunId) -> RunListener {
        let mut state = self.lock();
        let rows = state.rooms.entry(run).or_insert_with(|| broadcast::channel(ROWS).0).subscribe();
        RunListener { hub: Arc::clone(self), run, rows }
    }

    /// Whether this process writes the run's text, and so publishes all of it.
    pub(crate) fn owns(&self, run: RunId) -> bool {
        self.lock().owned.contains(&run)
    }

    /// Records that this process starts or stops writing a run's text.
    pub(crate) fn own(&self, run: RunId, owns: bool) {
        let mut state = self.lock();
        let _ = if owns { state.owned.insert(run) } else { state.owned.remove(&run) };
    }

    fn leave(&self, run: RunId) {
        let mut state = self.lock();
        // The receiver being dropped still counts.
        if state.rooms.get(&run).is_some_and(|room| room.receiver_count() <= 1) {
            state.rooms.remove(&run);
        }
    }
}

impl FlushListener for RunHub {
    fn flushed(&self, flushed: Flushed) {
        if let Some(room) = self.lock().rooms.get(&flushed.run) {
            // Fails only without receivers: between the drop of the last one and the removal of the
            // room.
            let _ = room.send(Arc::new(flushed.row));
        }
    }

    /// The run's writer gets the failure from its next append.
    fn failed(&self, run: RunId, failure: FlushFailure) {
        tracing::warn!(%run, error = %failure, "stopped persisting the run's text");
    }
}

/// A subscription at the hub; dropping it unsubscribes.
pub(crate) struct RunListener {
    hub: Arc<RunHub>,
    run: RunId,
    rows: broadcast::Receiver<Arc<OpenedDeltas>>,
}

impl RunListener {
    /// Waits for the next row; `None` when the channel overflowed. Dropping the future loses
    /// nothing.
    pub(crate) async fn told(&mut self) -> Option<Arc<OpenedDeltas>> {
        match self.rows.recv().await {
            Ok(row) => Some(row),
            Err(RecvError::Lagged(_)) => None,
            // The room lives as long as it has a subscriber.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for RunListener {
    fn drop(&mut self) {
        self.hub.leave(self.run);
    }
}
